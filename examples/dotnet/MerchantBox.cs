// The merchant box from .NET: one file, C# 7, the .NET Standard 2.0 library and no packages. Copy it into your project.
// .NET Framework 4.6.1+ needs a reference to System.Net.Http, and 4.7+ for TLS 1.2 by default; .NET Core and 5+ need nothing.
//
//   var box = new MerchantBox("https://box.example", key);          // one for the whole application, it is thread-safe
//   await box.ReportAsync(new Conversion { Action = "sale", OrderId = "B-1", Values = { "100.00" }, Currency = "EUR" });
//
// Every call is safe to repeat (an order is one conversion, however often it is reported), so network failures, unreadable
// answers, 429 and 5xx are tried again here until Patience is used up. Everything else throws MerchantBoxException at once.
// The key is sent to the box and shown nowhere: not in exceptions, not by ToString.

using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;

namespace Merchant
{
    /// <summary>A sale or a lead. Properties left null are not sent.</summary>
    public sealed class Conversion
    {
        public string Action { get; set; }
        public string OrderId { get; set; }
        /// <summary>Decimal strings with a point: use <see cref="MerchantBox.Amount"/>, since ToString() writes a comma in many cultures.</summary>
        /// Without any, the items say what the order is worth.
        public IList<string> Values { get; set; } = new List<string>();
        public string Currency { get; set; }
        public string ClickId { get; set; }
        public string Voucher { get; set; }
        public IList<Item> Items { get; set; } = new List<Item>();
        public IDictionary<string, string> Metadata { get; set; } = new Dictionary<string, string>();
        public string EventId { get; set; }
        /// <summary>"new" or "existing".</summary>
        public string CustomerStatus { get; set; }
        public bool IsTest { get; set; }

        internal Dictionary<string, object> Document()
        {
            // Without an order id a repeated report would be a second conversion.
            if (string.IsNullOrEmpty(OrderId)) throw new ArgumentException("OrderId is missing");
            var document = Json.Object(
                "action", Action, "orderId", OrderId, "currency", Currency, "clickId", ClickId, "voucher", Voucher,
                "eventId", EventId, "customerStatus", CustomerStatus);
            if (Values != null && Values.Count > 0) document["values"] = Values;
            if (Items != null && Items.Count > 0) document["items"] = Items.Select(item => item.Document()).ToList();
            if (Metadata != null && Metadata.Count > 0) document["metadata"] = Metadata;
            if (IsTest) document["isTest"] = true;
            return document;
        }
    }

    /// <summary>A line of the basket. The lines must add up to the values, where both are given.</summary>
    public sealed class Item
    {
        public string Group { get; set; }
        public int Quantity { get; set; } = 1;
        public string UnitPrice { get; set; }
        public string Sku { get; set; }
        public string Name { get; set; }

        internal Dictionary<string, object> Document()
        {
            return Json.Object("group", Group, "quantity", Quantity, "unitPrice", UnitPrice, "sku", Sku, "name", Name);
        }
    }

    /// <summary>A decision: approve, reject with a reason code, re-open, or amend by a new amount.</summary>
    public class Change
    {
        /// <summary>"approved", "rejected" or "open".</summary>
        public string Status { get; set; }
        /// <summary>Goes with a rejection: returned, cancelled, unpaid, duplicate, fraud, terms, test, refund or other.</summary>
        public string Reason { get; set; }
        /// <summary>The new amount of the whole conversion: a partial refund.</summary>
        public string Amount { get; set; }
        /// <summary>New amounts by commission group: how an order of several groups is amended.</summary>
        public IDictionary<string, string> Lines { get; set; } = new Dictionary<string, string>();

        internal virtual Dictionary<string, object> Document()
        {
            var document = Json.Object("status", Status, "reason", Reason, "amount", Amount);
            if (Lines != null && Lines.Count > 0) document["lines"] = Lines;
            return document;
        }
    }

    /// <summary>A decision about the conversion with this ConversionId, or with this OrderId and Action.</summary>
    public sealed class Validation : Change
    {
        public string ConversionId { get; set; }
        public string OrderId { get; set; }
        public string Action { get; set; }

        internal override Dictionary<string, object> Document()
        {
            var document = base.Document();
            foreach (var pair in Json.Object("conversionId", ConversionId, "orderId", OrderId, "action", Action)) document[pair.Key] = pair.Value;
            return document;
        }
    }

    /// <summary>What the box answered. Document holds all of it.</summary>
    public sealed class Answer
    {
        /// <summary>202: stored and on its way to the network; 200: an identical repetition, with the original result.</summary>
        public int Code { get; internal set; }
        public IDictionary<string, object> Document { get; internal set; }
        public string ConversionId { get { return Document.Text("conversionId"); } }
        public string Status { get { return Document.Text("status"); } }
        public bool Attributed { get { return Document.Flag("attributed"); } }
        public bool Duplicate { get { return Document.Flag("duplicate"); } }
        /// <summary>Why nobody earns, where it is not attributed: no_click, unknown_click, outside_window or unknown_voucher.</summary>
        public string UnattributedReason
        {
            get
            {
                object attribution;
                Document.TryGetValue("attribution", out attribution);
                return (attribution as IDictionary<string, object>)?.Text("reason");
            }
        }
    }

    /// <summary>A row's answer in a batch: Code is what the single call would have answered.</summary>
    public sealed class Row
    {
        internal Row(IDictionary<string, object> document) { Document = document; }
        public IDictionary<string, object> Document { get; }
        public int Index { get { return Document.Number("index"); } }
        public int Code { get { return Document.Number("code"); } }
        public string ConversionId { get { return Document.Text("conversionId"); } }
        public string Status { get { return Document.Text("status"); } }
        public bool Duplicate { get { return Document.Flag("duplicate"); } }
        /// <summary>The stable code of what was wrong with this row, or null.</summary>
        public string Error
        {
            get
            {
                object error;
                Document.TryGetValue("error", out error);
                var problem = error as IDictionary<string, object>;
                return problem != null ? problem.Text("code") : error as string;
            }
        }
    }

    /// <summary>Code is stable and documented: the box's own, or box_unreachable, box_timeout, unreadable_answer,
    /// unexpected_redirect, http_&lt;status&gt;. Status is 0 when no answer came.</summary>
    public sealed class MerchantBoxException : Exception
    {
        internal MerchantBoxException(Outcome outcome, int attempts) : base(outcome.Code + ": " + outcome.Detail, outcome.Cause)
        {
            Code = outcome.Code;
            Detail = outcome.Detail;
            Status = outcome.Status;
            RetryAfter = outcome.RetryAfter;
            Attempts = attempts;
        }

        public string Code { get; }
        public string Detail { get; }
        public int Status { get; }
        public TimeSpan? RetryAfter { get; }
        public int Attempts { get; }
    }

    /// <summary>Code: header_missing, header_malformed, timestamp_too_old, timestamp_too_new or signature_mismatch. Answer 401.</summary>
    public sealed class PostbackRefusedException : Exception
    {
        internal PostbackRefusedException(string code) : base("postback refused: " + code) { Code = code; }
        public string Code { get; }
    }

    public sealed class MerchantBox : IDisposable
    {
        private const int MaxAnswerBytes = 8 * 1024 * 1024; // the gateway allows 6 MB
        private const int ToleranceSeconds = 300;
        private const int MinPageSecretBytes = 24;
        private static readonly UTF8Encoding StrictUtf8 = new UTF8Encoding(false, true); // half a surrogate pair throws
        private static readonly HttpMethod Patch = new HttpMethod("PATCH"); // has no name of its own before .NET Core 2.1

        private readonly string url;
        private readonly string key;
        private readonly HttpClient http;
        private readonly Random random = new Random();

        /// <param name="handler">Null for the usual one. On .NET Core a SocketsHttpHandler with a PooledConnectionLifetime follows DNS
        /// changes; give it AllowAutoRedirect = false, as the usual one has.</param>
        public MerchantBox(string url, string key, HttpMessageHandler handler = null)
        {
            this.url = BoxUrl(url);
            if (key == null || !Regex.IsMatch(key, @"^box_[\x21-\x7e]+\z")) throw new ArgumentException("the API key starts with box_");
            this.key = key;
            // The key goes to the box and nowhere else: redirects are not followed.
            http = new HttpClient(handler ?? new HttpClientHandler { AllowAutoRedirect = false, UseCookies = false });
            http.Timeout = System.Threading.Timeout.InfiniteTimeSpan; // each attempt has its own
        }

        /// <summary>One attempt may take so long.</summary>
        public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);
        /// <summary>A whole call may take so long, waiting between attempts included.</summary>
        public TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(30);
        public int Attempts { get; set; } = 4;

        public void Dispose() { http.Dispose(); }

        /// <summary>POST /v1/conversions. A conflict (the same order with other values) throws with Status 409.</summary>
        public async Task<Answer> ReportAsync(Conversion conversion, CancellationToken cancel = default(CancellationToken))
        {
            return await SendAsync(HttpMethod.Post, "/v1/conversions", conversion.Document(), cancel).ConfigureAwait(false);
        }

        /// <summary>POST /v1/conversions/batch, up to 1,000; a row each, in order.</summary>
        public async Task<IList<Row>> ReportBatchAsync(IEnumerable<Conversion> conversions, CancellationToken cancel = default(CancellationToken))
        {
            var body = Json.Object("conversions", conversions.Select(one => one.Document()).ToList());
            return Rows(await SendAsync(HttpMethod.Post, "/v1/conversions/batch", body, cancel).ConfigureAwait(false));
        }

        /// <summary>POST /v1/validations, up to 1,000; a row each, in order.</summary>
        public async Task<IList<Row>> ValidateAsync(IEnumerable<Validation> validations, CancellationToken cancel = default(CancellationToken))
        {
            var body = Json.Object("validations", validations.Select(one => one.Document()).ToList());
            return Rows(await SendAsync(HttpMethod.Post, "/v1/validations", body, cancel).ConfigureAwait(false));
        }

        /// <summary>PATCH /v1/conversions/{id}.</summary>
        public async Task<Answer> ChangeAsync(string conversionId, Change change, CancellationToken cancel = default(CancellationToken))
        {
            var path = "/v1/conversions/" + Uri.EscapeDataString(conversionId);
            return await SendAsync(Patch, path, change.Document(), cancel).ConfigureAwait(false);
        }

        /// <summary>1234.5m -> "1234.50", whatever the culture. Refuses an amount with more decimals than the currency has: rounding is the shop's.</summary>
        public static string Amount(decimal amount, int decimals = 2)
        {
            if (amount < 0 || amount != decimal.Round(amount, decimals)) throw new ArgumentException("not an amount of " + decimals + " decimals");
            return amount.ToString("F" + decimals, CultureInfo.InvariantCulture);
        }

        /// <summary>The signature for mtag: 64 hex digits over exactly these strings.</summary>
        public static string SignPage(string secret, string orderId, string action, IEnumerable<string> values, string currency)
        {
            var secretBytes = StrictUtf8.GetBytes(secret ?? "");
            if (secretBytes.Length < MinPageSecretBytes) throw new ArgumentException("a page secret has at least " + MinPageSecretBytes + " bytes");
            var message = StrictUtf8.GetBytes(Json.Write(new object[] { orderId, action, values.ToList(), currency }));
            using (var hmac = new HMACSHA256(secretBytes))
                return string.Concat(hmac.ComputeHash(message).Select(one => one.ToString("x2", CultureInfo.InvariantCulture)));
        }

        /// <summary>Returns when one of the secrets (whsec_…) signed the payload within 300 s of now; otherwise throws PostbackRefusedException.</summary>
        /// <param name="header">Gives a header's value or null: name => Request.Headers[name].</param>
        /// <param name="payload">The raw body; for a postback sent as GET the query string without its question mark.</param>
        public static void VerifyPostback(IEnumerable<string> secrets, Func<string, string> header, byte[] payload, DateTimeOffset? now = null)
        {
            string id = header("webhook-id"), timestamp = header("webhook-timestamp"), signatures = header("webhook-signature");
            if (string.IsNullOrEmpty(id) || string.IsNullOrEmpty(timestamp) || string.IsNullOrEmpty(signatures))
                throw new PostbackRefusedException("header_missing");
            // An id with a dot could borrow from the time or the body: the signed content joins the three with dots.
            var wellFormed = Regex.IsMatch(id, @"^[A-Za-z0-9_-]{1,128}\z") && Regex.IsMatch(timestamp, @"^[1-9][0-9]{0,11}\z")
                && Regex.IsMatch(signatures, @"^[!-~]+( [!-~]+){0,15}\z");
            if (!wellFormed) throw new PostbackRefusedException("header_malformed");
            var age = (now ?? DateTimeOffset.UtcNow).ToUnixTimeSeconds() - long.Parse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture);
            if (age > ToleranceSeconds) throw new PostbackRefusedException("timestamp_too_old");
            if (age < -ToleranceSeconds) throw new PostbackRefusedException("timestamp_too_new");
            var content = Encoding.ASCII.GetBytes(id + "." + timestamp + ".").Concat(payload).ToArray();
            var matched = false;
            foreach (var secret in secrets)
                using (var hmac = new HMACSHA256(WebhookKey(secret)))
                {
                    var expected = "v1," + Convert.ToBase64String(hmac.ComputeHash(content));
                    foreach (var signature in signatures.Split(' ')) matched = SameText(signature, expected) || matched;
                }
            if (!matched) throw new PostbackRefusedException("signature_mismatch");
        }

        private async Task<Answer> SendAsync(HttpMethod method, string path, object body, CancellationToken cancel)
        {
            var bytes = StrictUtf8.GetBytes(Json.Write(body));
            var deadline = DateTimeOffset.UtcNow + Patience;
            for (var attempt = 1; ; attempt++)
            {
                var outcome = await AttemptAsync(method, path, bytes, deadline - DateTimeOffset.UtcNow, cancel).ConfigureAwait(false);
                if (outcome.Answer != null) return outcome.Answer;
                var wait = BackOff(attempt);
                if (outcome.RetryAfter > wait) wait = outcome.RetryAfter.Value;
                if (!outcome.Again || attempt >= Attempts || DateTimeOffset.UtcNow + wait >= deadline)
                    throw new MerchantBoxException(outcome, attempt);
                await Task.Delay(wait, cancel).ConfigureAwait(false);
            }
        }

        private async Task<Outcome> AttemptAsync(HttpMethod method, string path, byte[] body, TimeSpan left, CancellationToken cancel)
        {
            using (var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel))
            using (var request = new HttpRequestMessage(method, url + path))
            {
                limit.CancelAfter(left <= TimeSpan.Zero ? TimeSpan.FromMilliseconds(1) : left < Timeout ? left : Timeout);
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
                request.Headers.Accept.ParseAdd("application/json");
                request.Headers.UserAgent.ParseAdd("merchant-box-dotnet/1");
                request.Content = new ByteArrayContent(body);
                request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
                try
                {
                    using (var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token).ConfigureAwait(false))
                    // Ends a body that drips in: some runtimes do not look at the token while they read one.
                    using (limit.Token.Register(response.Dispose))
                        return Outcome.Of(response, await BoundedAsync(response, limit.Token).ConfigureAwait(false));
                }
                catch (Exception cause) when (!cancel.IsCancellationRequested && IsNetworkFailure(cause))
                {
                    var code = limit.IsCancellationRequested ? "box_timeout" : "box_unreachable";
                    return new Outcome { Again = true, Code = code, Detail = "no answer from the box", Cause = cause };
                }
            }
        }

        private static bool IsNetworkFailure(Exception cause)
        {
            return cause is HttpRequestException || cause is IOException || cause is OperationCanceledException
                || cause is ObjectDisposedException || cause is System.Net.WebException;
        }

        private static async Task<string> BoundedAsync(HttpResponseMessage response, CancellationToken cancel)
        {
            using (var body = await response.Content.ReadAsStreamAsync().ConfigureAwait(false))
            using (var whole = new MemoryStream())
            {
                var chunk = new byte[16384];
                for (int read; (read = await body.ReadAsync(chunk, 0, chunk.Length, cancel).ConfigureAwait(false)) > 0;)
                {
                    if (whole.Length + read > MaxAnswerBytes) return "";
                    whole.Write(chunk, 0, read);
                }
                return Encoding.UTF8.GetString(whole.ToArray());
            }
        }

        private TimeSpan BackOff(int attempt)
        {
            double share;
            lock (random) share = random.NextDouble(); // System.Random is not thread-safe
            return TimeSpan.FromSeconds(0.25 * Math.Pow(2, attempt - 1) * (0.5 + share / 2));
        }

        private static IList<Row> Rows(Answer answer)
        {
            object results;
            answer.Document.TryGetValue("results", out results);
            return ((results as List<object>) ?? new List<object>()).OfType<IDictionary<string, object>>().Select(one => new Row(one)).ToList();
        }

        private static string BoxUrl(string text)
        {
            Uri uri;
            if (!Uri.TryCreate(text, UriKind.Absolute, out uri) || !(uri.Scheme == "https" || (uri.Scheme == "http" && uri.IsLoopback)))
                throw new ArgumentException("the box's address starts with https:// (http:// for this machine alone)");
            if (uri.UserInfo + uri.Query + uri.Fragment != "") throw new ArgumentException("the box's address is scheme, host and path");
            return uri.AbsoluteUri.TrimEnd('/');
        }

        private static byte[] WebhookKey(string secret)
        {
            var text = secret != null && secret.StartsWith("whsec_", StringComparison.Ordinal) ? secret.Substring(6) : "";
            // Convert alone would take spaces and line ends.
            var key = Regex.IsMatch(text, @"^[A-Za-z0-9+/]+={0,2}\z") && text.Length % 4 == 0 ? Convert.FromBase64String(text) : new byte[0];
            if (key.Length < 24 || key.Length > 64) throw new ArgumentException("a secret is whsec_ and the base64 of 24 to 64 bytes");
            return key;
        }

        // In constant time; CryptographicOperations.FixedTimeEquals is not in .NET Standard 2.0.
        private static bool SameText(string one, string other)
        {
            var difference = one.Length ^ other.Length;
            for (var i = 0; i < one.Length && i < other.Length; i++) difference |= one[i] ^ other[i];
            return difference == 0;
        }
    }

    /// <summary>What one attempt came to.</summary>
    internal sealed class Outcome
    {
        internal Answer Answer;
        internal bool Again;
        internal int Status;
        internal string Code;
        internal string Detail;
        internal TimeSpan? RetryAfter;
        internal Exception Cause;

        internal static Outcome Of(HttpResponseMessage response, string body)
        {
            var status = (int)response.StatusCode;
            var document = Json.ParseObject(body);
            if (status >= 200 && status < 300)
                return document != null
                    ? new Outcome { Answer = new Answer { Code = status, Document = document } }
                    : new Outcome { Again = true, Status = status, Code = "unreadable_answer", Detail = "the answer is not a JSON object" };
            if (status >= 300 && status < 400)
                return new Outcome { Status = status, Code = "unexpected_redirect", Detail = "a box does not redirect its API; check the box's address" };
            return new Outcome
            {
                Again = status == 429 || status >= 500,
                Status = status,
                Code = document?.Text("code") ?? "http_" + status.ToString(CultureInfo.InvariantCulture),
                Detail = document?.Text("detail") ?? "no further explanation",
                RetryAfter = Seconds(response.Headers.RetryAfter),
            };
        }

        private static TimeSpan? Seconds(RetryConditionHeaderValue header)
        {
            if (header == null) return null;
            if (header.Delta != null) return header.Delta;
            var until = header.Date - DateTimeOffset.UtcNow;
            return until < TimeSpan.Zero ? TimeSpan.Zero : until;
        }
    }

    /// <summary>As much JSON as the box speaks. .NET Standard 2.0 has none without a package, and a page signature needs the strings
    /// written as RFC 8785 says, which System.Text.Json does not do by default.</summary>
    internal static class Json
    {
        private const int MaxDepth = 32;

        /// <summary>Names and values in turn; nulls are left out.</summary>
        internal static Dictionary<string, object> Object(params object[] namesAndValues)
        {
            var document = new Dictionary<string, object>();
            for (var i = 0; i < namesAndValues.Length; i += 2)
                if (namesAndValues[i + 1] != null) document[(string)namesAndValues[i]] = namesAndValues[i + 1];
            return document;
        }

        internal static string Text(this IDictionary<string, object> document, string name)
        {
            object value;
            return document.TryGetValue(name, out value) ? value as string : null;
        }

        internal static bool Flag(this IDictionary<string, object> document, string name)
        {
            object value;
            return document.TryGetValue(name, out value) && value is bool && (bool)value;
        }

        internal static int Number(this IDictionary<string, object> document, string name)
        {
            object value;
            return document.TryGetValue(name, out value) && value is decimal ? (int)(decimal)value : 0;
        }

        internal static string Write(object value)
        {
            var text = new StringBuilder();
            Write(text, value);
            return text.ToString();
        }

        private static void Write(StringBuilder text, object value)
        {
            if (value == null) text.Append("null");
            else if (value is string) WriteString(text, (string)value);
            else if (value is bool) text.Append((bool)value ? "true" : "false");
            else if (value is int || value is long || value is decimal) text.Append(((IFormattable)value).ToString(null, CultureInfo.InvariantCulture));
            else if (value is IDictionary<string, string>)
                WriteObject(text, ((IDictionary<string, string>)value).Select(one => new KeyValuePair<string, object>(one.Key, one.Value)));
            else if (value is IDictionary<string, object>) WriteObject(text, (IDictionary<string, object>)value);
            else if (value is IEnumerable) WriteArray(text, (IEnumerable)value);
            else throw new ArgumentException("no JSON for " + value.GetType());
        }

        private static void WriteObject(StringBuilder text, IEnumerable<KeyValuePair<string, object>> members)
        {
            var separator = '{';
            foreach (var member in members)
            {
                text.Append(separator);
                WriteString(text, member.Key);
                text.Append(':');
                Write(text, member.Value);
                separator = ',';
            }
            text.Append(separator == '{' ? "{}" : "}");
        }

        private static void WriteArray(StringBuilder text, IEnumerable values)
        {
            var separator = '[';
            foreach (var value in values)
            {
                text.Append(separator);
                Write(text, value);
                separator = ',';
            }
            text.Append(separator == '[' ? "[]" : "]");
        }

        private static void WriteString(StringBuilder text, string value)
        {
            text.Append('"');
            foreach (var one in value)
            {
                var short_ = "\"\\\b\t\n\f\r".IndexOf(one);
                if (short_ >= 0) text.Append('\\').Append("\"\\btnfr"[short_]);
                else if (one < ' ') text.Append("\\u").Append(((int)one).ToString("x4", CultureInfo.InvariantCulture));
                else text.Append(one);
            }
            text.Append('"');
        }

        /// <summary>The object that the text is, or null where it is anything else.</summary>
        internal static Dictionary<string, object> ParseObject(string text)
        {
            try { return Parse(text) as Dictionary<string, object>; }
            catch (FormatException) { return null; }
        }

        /// <summary>Dictionary, List, string, decimal, bool or null. Throws FormatException.</summary>
        internal static object Parse(string text)
        {
            var at = 0;
            var value = ReadValue(text, ref at, 0);
            Skip(text, ref at);
            if (at != text.Length) throw new FormatException("more text after the JSON");
            return value;
        }

        private static object ReadValue(string text, ref int at, int depth)
        {
            if (depth > MaxDepth) throw new FormatException("JSON too deep");
            Skip(text, ref at);
            switch (Peek(text, at))
            {
                case '{': return ReadObject(text, ref at, depth);
                case '[': return ReadArray(text, ref at, depth);
                case '"': return ReadString(text, ref at);
                case 't': return Word(text, ref at, "true", true);
                case 'f': return Word(text, ref at, "false", false);
                case 'n': return Word(text, ref at, "null", null);
                default: return ReadNumber(text, ref at);
            }
        }

        private static Dictionary<string, object> ReadObject(string text, ref int at, int depth)
        {
            var document = new Dictionary<string, object>();
            at++;
            if (Take(text, ref at, '}')) return document;
            do
            {
                Skip(text, ref at);
                var name = ReadString(text, ref at);
                Expect(text, ref at, ':');
                document[name] = ReadValue(text, ref at, depth + 1);
            } while (Take(text, ref at, ','));
            Expect(text, ref at, '}');
            return document;
        }

        private static List<object> ReadArray(string text, ref int at, int depth)
        {
            var values = new List<object>();
            at++;
            if (Take(text, ref at, ']')) return values;
            do values.Add(ReadValue(text, ref at, depth + 1)); while (Take(text, ref at, ','));
            Expect(text, ref at, ']');
            return values;
        }

        private static string ReadString(string text, ref int at)
        {
            if (Peek(text, at++) != '"') throw new FormatException("a JSON string is missing");
            var value = new StringBuilder();
            for (char one; (one = Peek(text, at++)) != '"';)
            {
                if (one < ' ') throw new FormatException("a JSON string is not closed");
                value.Append(one == '\\' ? ReadEscape(text, ref at) : one);
            }
            return value.ToString();
        }

        private static char ReadEscape(string text, ref int at)
        {
            var one = Peek(text, at++);
            var short_ = "\"\\/btnfr".IndexOf(one);
            if (short_ >= 0) return "\"\\/\b\t\n\f\r"[short_];
            ushort unit;
            if (one != 'u' || at + 4 > text.Length || !ushort.TryParse(text.Substring(at, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out unit))
                throw new FormatException("no JSON escape");
            at += 4;
            return (char)unit;
        }

        private static object ReadNumber(string text, ref int at)
        {
            var match = new Regex(@"\G-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?").Match(text, at);
            decimal number;
            if (!match.Success || !decimal.TryParse(match.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out number))
                throw new FormatException("no JSON value");
            at += match.Length;
            return number;
        }

        private static object Word(string text, ref int at, string word, object value)
        {
            if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0) throw new FormatException("no JSON value");
            at += word.Length;
            return value;
        }

        private static bool Take(string text, ref int at, char one)
        {
            Skip(text, ref at);
            if (Peek(text, at) != one) return false;
            at++;
            return true;
        }

        private static void Expect(string text, ref int at, char one)
        {
            if (!Take(text, ref at, one)) throw new FormatException("JSON without its " + one);
        }

        private static void Skip(string text, ref int at)
        {
            while (at < text.Length && " \t\r\n".IndexOf(text[at]) >= 0) at++;
        }

        // U+0000 stands for the end: it may not stand in JSON itself.
        private static char Peek(string text, int at)
        {
            return at < text.Length ? text[at] : '\0';
        }
    }
}
