<?php

// Relays commands to the PHP client: a JSON list on stdin, a JSON list of outcomes on stdout. See languages.py.

declare(strict_types=1);

require __DIR__ . '/../../examples/php/MerchantBox.php';

/** What PHP has for text that is not Unicode: bytes that are not UTF-8. Each unit is written as its own three bytes. */
function bytes_of(array $codeUnits): string
{
    $three = fn (int $unit): string => chr(0xE0 | $unit >> 12) . chr(0x80 | $unit >> 6 & 0x3F) . chr(0x80 | $unit & 0x3F);
    return implode('', array_map(fn (int $unit): string => $unit < 0x80 ? chr($unit) : $three($unit), $codeUnits));
}

function perform(array $one): mixed
{
    $box = fn (): MerchantBox => new MerchantBox($one['url'], $one['key'], ...($one['options'] ?? []));
    return match ($one['operation']) {
        'signPage' => MerchantBox::signPage(
            $one['secret'],
            $one['orderId'] ?? bytes_of($one['orderIdCodeUnits']),
            $one['action'],
            $one['values'],
            $one['currency'],
        ),
        'verifyPostback' => MerchantBox::verifyPostback(
            $one['secrets'],
            $one['headers'],
            base64_decode($one['payloadBase64']),
            $one['now'],
        ) ?? 'accepted',
        'report' => $box()->report($one['argument']),
        'reportBatch' => $box()->reportBatch($one['argument']),
        'validate' => $box()->validate($one['argument']),
        'change' => $box()->change($one['conversionId'], $one['argument']),
        'show' => shown($box()),
    };
}

function shown(MerchantBox $box): string
{
    ob_start();
    var_dump($box);
    print_r($box);
    return json_encode($box) . ob_get_clean();
}

/** The client's own frames with every argument whole; the driver's hold the command itself. */
function trace(Throwable $error): string
{
    $ours = array_filter($error->getTrace(), fn (array $frame): bool => ($frame['class'] ?? '') === 'MerchantBox');
    return print_r($ours, true);
}

function outcome(array $command): array
{
    try {
        return ['ok' => perform($command)];
    } catch (MerchantBoxError $error) {
        $failed = ['code' => $error->problem] + get_object_vars($error);
        return ['failed' => $failed, 'text' => $error . trace($error)];
    } catch (PostbackRefused $error) {
        return ['refused' => $error->problem, 'text' => $error . trace($error)];
    } catch (InvalidArgumentException | JsonException $error) {
        return ['misused' => $error->getMessage(), 'text' => $error . trace($error)];
    }
}

function timed(array $command): array
{
    $began = microtime(true);
    return outcome($command) + ['seconds' => microtime(true) - $began];
}

$commands = json_decode(stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);
echo json_encode(array_map('timed', $commands), JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
