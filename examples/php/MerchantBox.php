<?php

declare(strict_types=1);

// The merchant box from PHP 8.1 or newer: one file, no extensions beyond a default build (openssl for https). Copy it.
//
//   $box = new MerchantBox('https://box.example', getenv('BOX_KEY'));
//   $box->report(['action' => 'sale', 'orderId' => 'B-1', 'values' => ['100.00'], 'currency' => 'EUR', 'clickId' => $clickId]);
//
// Every call is safe to repeat (an order is one conversion, however often it is reported), so network failures, unreadable
// answers, 429 and 5xx are tried again here until `patience` is used up. Everything else throws MerchantBoxError at once.
// The key is sent to the box and shown nowhere: not in errors or their traces (from PHP 8.2 on), not when this object is dumped.

/** `problem` is stable and documented: the box's own code, or box_unreachable, unreadable_answer, unexpected_redirect,
 *  http_<status>. `status` is 0 when no answer came; `retryAfter` in seconds or null. */
final class MerchantBoxError extends RuntimeException
{
    public function __construct(
        public readonly string $problem,
        public readonly string $detail,
        public readonly int $status = 0,
        public readonly ?float $retryAfter = null,
        public readonly int $attempts = 1,
    ) {
        parent::__construct("$problem: $detail");
    }
}

/** `problem`: header_missing, header_malformed, timestamp_too_old, timestamp_too_new or signature_mismatch. Answer 401. */
final class PostbackRefused extends RuntimeException
{
    public function __construct(public readonly string $problem)
    {
        parent::__construct("postback refused: $problem");
    }
}

final class MerchantBox
{
    private const MAX_ANSWER_BYTES = 8 * 1024 * 1024; // the gateway allows 6 MB
    private const TOLERANCE_SECONDS = 300;
    private const MIN_PAGE_SECRET_BYTES = 24;
    private const JSON = JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_LINE_TERMINATORS;

    private readonly string $url;

    /** `timeout`: seconds for one attempt; `patience`: seconds for a whole call, waiting included; `attempts`: at most so many. */
    public function __construct(
        string $url,
        #[SensitiveParameter] private readonly string $key,
        private readonly float $timeout = 10.0,
        private readonly float $patience = 30.0,
        private readonly int $attempts = 4,
    ) {
        if (!preg_match('/^box_[\x21-\x7e]+\z/', $key)) {
            throw new InvalidArgumentException('the API key starts with box_');
        }
        $this->url = self::boxUrl($url);
    }

    /** What var_dump and print_r show. */
    public function __debugInfo(): array
    {
        return ['url' => $this->url];
    }

    public function __serialize(): array
    {
        throw new LogicException('a client holds an API key and is not serialised');
    }

    /** POST /v1/conversions: ['code' => 202 or 200, 'conversionId', 'status', 'attributed', 'duplicate', …]; a conflict throws, status 409. */
    public function report(array $conversion): array
    {
        return $this->send('POST', '/v1/conversions', self::checked($conversion));
    }

    /** POST /v1/conversions/batch, up to 1,000: a row each, in order, ['index', 'code', 'conversionId'?, 'status'?, 'duplicate'?, 'error'?]. */
    public function reportBatch(array $conversions): array
    {
        $body = ['conversions' => array_map(self::checked(...), array_values($conversions))];
        return $this->send('POST', '/v1/conversions/batch', $body)['results'];
    }

    /** POST /v1/validations, up to 1,000 of ['conversionId'] or ['orderId', 'action'] with 'status', 'amount', 'lines', 'reason': a row each. */
    public function validate(array $validations): array
    {
        return $this->send('POST', '/v1/validations', ['validations' => array_values($validations)])['results'];
    }

    /** PATCH /v1/conversions/{id} with 'status', 'reason', 'amount', 'lines' (by commission group): approve, reject, re-open, amend. */
    public function change(string $conversionId, array $change): array
    {
        return $this->send('PATCH', '/v1/conversions/' . rawurlencode($conversionId), $change);
    }

    /** The `signature` for mtag: 64 hex digits over exactly these strings. Values are decimal strings: ['100.00']. */
    public static function signPage(
        #[SensitiveParameter] string $secret,
        string $orderId,
        string $action,
        array $values,
        string $currency,
    ): string {
        if (strlen($secret) < self::MIN_PAGE_SECRET_BYTES) {
            throw new InvalidArgumentException('a page secret has at least ' . self::MIN_PAGE_SECRET_BYTES . ' bytes');
        }
        // Text that is not UTF-8 makes json_encode throw: nothing is signed in its place.
        $message = json_encode([$orderId, $action, self::decimals($values), $currency], self::JSON);
        return hash_hmac('sha256', $message, $secret);
    }

    /** Returns when one of `$secrets` (whsec_…) signed `$payload` within 300 s of now; otherwise throws PostbackRefused.
     *  `$payload`: file_get_contents('php://input'), or $_SERVER['QUERY_STRING'] for a postback sent as GET.
     *  `$headers`: what getallheaders() gives. `$now`: Unix seconds. */
    public static function verifyPostback(
        #[SensitiveParameter] array $secrets,
        array $headers,
        string $payload,
        ?int $now = null,
    ): void {
        $now ??= time();
        $given = array_change_key_case($headers, CASE_LOWER);
        $id = (string) ($given['webhook-id'] ?? '');
        $timestamp = (string) ($given['webhook-timestamp'] ?? '');
        $signatures = (string) ($given['webhook-signature'] ?? '');
        if ($id === '' || $timestamp === '' || $signatures === '') {
            throw new PostbackRefused('header_missing');
        }
        // An id with a dot could borrow from the time or the body: the signed content joins the three with dots.
        $wellFormed = preg_match('/^[A-Za-z0-9_-]{1,128}\z/', $id)
            && preg_match('/^[1-9][0-9]{0,11}\z/', $timestamp)
            && preg_match('/^[!-~]+( [!-~]+){0,15}\z/', $signatures);
        if (!$wellFormed) {
            throw new PostbackRefused('header_malformed');
        }
        if ($now - (int) $timestamp > self::TOLERANCE_SECONDS) {
            throw new PostbackRefused('timestamp_too_old');
        }
        if ((int) $timestamp - $now > self::TOLERANCE_SECONDS) {
            throw new PostbackRefused('timestamp_too_new');
        }
        $matched = false;
        foreach ($secrets as $secret) {
            $digest = hash_hmac('sha256', "$id.$timestamp.$payload", self::webhookKey($secret), true);
            foreach (explode(' ', $signatures) as $signature) {
                $matched = hash_equals('v1,' . base64_encode($digest), $signature) || $matched;
            }
        }
        if (!$matched) {
            throw new PostbackRefused('signature_mismatch');
        }
    }

    private function send(string $method, string $path, array $body): array
    {
        $text = json_encode($body, self::JSON);
        $deadline = microtime(true) + $this->patience;
        for ($attempt = 1; ; $attempt++) {
            $outcome = $this->attempt($method, $path, $text, $deadline);
            if (isset($outcome['answer'])) {
                return $outcome['answer'];
            }
            $backOff = 0.25 * 2 ** ($attempt - 1) * (0.5 + mt_rand() / mt_getrandmax() / 2);
            $wait = max($outcome['retryAfter'] ?? 0.0, $backOff);
            $again = $outcome['again'] ?? false;
            if (!$again || $attempt >= $this->attempts || microtime(true) + $wait >= $deadline) {
                $status = $outcome['status'] ?? 0;
                throw new MerchantBoxError($outcome['code'], $outcome['detail'], $status, $outcome['retryAfter'] ?? null, $attempt);
            }
            usleep((int) ($wait * 1_000_000));
        }
    }

    /** @return array{answer?: array, again?: bool, status?: int, code?: string, detail?: string, retryAfter?: ?float} */
    private function attempt(string $method, string $path, string $text, float $deadline): array
    {
        $until = min($deadline, microtime(true) + $this->timeout);
        $context = stream_context_create(['http' => [
            'method' => $method,
            'header' => [
                'Authorization: Bearer ' . $this->key,
                'Content-Type: application/json',
                'Accept: application/json',
                'User-Agent: merchant-box-php/1',
                'Connection: close',
            ],
            'content' => $text,
            'protocol_version' => 1.1,
            'timeout' => max(0.001, $until - microtime(true)),
            'ignore_errors' => true, // the body of a 4xx is its explanation
            'follow_location' => 0, // the key goes to the box and nowhere else
        ]]);
        $stream = @fopen($this->url . $path, 'rb', false, $context);
        if ($stream === false) {
            return ['again' => true, 'code' => 'box_unreachable', 'detail' => 'no answer from the box'];
        }
        [$status, $retryAfter] = self::head(stream_get_meta_data($stream)['wrapper_data']);
        return self::understood($status, $retryAfter, self::bounded($stream, $until));
    }

    /** The body, or null when it did not arrive whole and in time. @param resource $stream */
    private static function bounded($stream, float $until): ?string
    {
        $body = '';
        while (!feof($stream)) {
            $left = $until - microtime(true);
            if ($left <= 0 || strlen($body) > self::MAX_ANSWER_BYTES) {
                return null;
            }
            stream_set_timeout($stream, (int) $left, (int) (fmod($left, 1) * 1_000_000));
            $chunk = fread($stream, 65536);
            if ($chunk === false || stream_get_meta_data($stream)['timed_out']) {
                return null;
            }
            $body .= $chunk;
        }
        fclose($stream);
        return $body;
    }

    /** @return array{int, ?float} the status and Retry-After, in seconds, of the last header block */
    private static function head(array $lines): array
    {
        [$status, $retryAfter] = [0, null];
        foreach ($lines as $line) {
            if (preg_match('#^HTTP/\S+ (\d{3})#', $line, $match)) {
                [$status, $retryAfter] = [(int) $match[1], null];
            } elseif (preg_match('/^retry-after:\s*(.*?)\s*\z/i', $line, $match)) {
                $retryAfter = self::seconds($match[1]);
            }
        }
        return [$status, $retryAfter];
    }

    /** Retry-After is a number of seconds or a date. */
    private static function seconds(string $text): ?float
    {
        if (preg_match('/^[0-9]{1,9}\z/', $text)) {
            return (float) $text;
        }
        $at = strtotime($text);
        return $at === false ? null : max(0.0, $at - microtime(true));
    }

    private static function understood(int $status, ?float $retryAfter, ?string $body): array
    {
        // Decoded to objects first: a JSON list is no document, and PHP's arrays do not tell the two apart.
        $document = $body !== null && json_decode($body) instanceof stdClass ? json_decode($body, true) : null;
        if ($status >= 200 && $status < 300) {
            return $document !== null
                ? ['answer' => ['code' => $status] + $document]
                : ['again' => true, 'status' => $status, 'code' => 'unreadable_answer', 'detail' => 'the answer is not a JSON object'];
        }
        if ($status >= 300 && $status < 400) {
            $detail = "a box does not redirect its API; check the box's address";
            return ['status' => $status, 'code' => 'unexpected_redirect', 'detail' => $detail];
        }
        return [
            'again' => $status === 429 || $status >= 500,
            'status' => $status,
            'code' => is_string($document['code'] ?? null) ? $document['code'] : "http_$status",
            'detail' => is_string($document['detail'] ?? null) ? $document['detail'] : 'no further explanation',
            'retryAfter' => $retryAfter,
        ];
    }

    private static function boxUrl(string $text): string
    {
        $url = parse_url($text) ?: [];
        $scheme = strtolower($url['scheme'] ?? '');
        $loopback = in_array($url['host'] ?? '', ['localhost', '127.0.0.1', '[::1]'], true);
        if (!isset($url['host']) || ($scheme !== 'https' && !($scheme === 'http' && $loopback))) {
            throw new InvalidArgumentException("the box's address starts with https:// (http:// for this machine alone)");
        }
        if (array_diff_key($url, array_flip(['scheme', 'host', 'port', 'path']))) {
            throw new InvalidArgumentException("the box's address is scheme, host and path");
        }
        return rtrim($text, '/');
    }

    private static function checked(array $conversion): array
    {
        // Without an order id a repeated report would be a second conversion.
        if (!is_string($conversion['orderId'] ?? null) || $conversion['orderId'] === '') {
            throw new InvalidArgumentException('orderId is missing');
        }
        if (isset($conversion['values'])) {
            $conversion['values'] = self::decimals($conversion['values']);
        }
        if (isset($conversion['metadata'])) {
            $conversion['metadata'] = (object) $conversion['metadata']; // an empty array would be written as a list
        }
        return $conversion;
    }

    /** @return list<string> */
    private static function decimals(mixed $values): array
    {
        if (!is_array($values) || array_filter($values, 'is_string') !== $values) {
            throw new InvalidArgumentException("values is a list of decimal strings, such as ['100.00']");
        }
        return array_values($values);
    }

    private static function webhookKey(#[SensitiveParameter] string $secret): string
    {
        $key = str_starts_with($secret, 'whsec_') ? (string) base64_decode(substr($secret, 6), true) : '';
        if (strlen($key) < 24 || strlen($key) > 64) {
            throw new InvalidArgumentException('a secret is whsec_ and the base64 of 24 to 64 bytes');
        }
        return $key;
    }
}
