// Relays commands to the .NET client: a JSON list on stdin, a JSON list of outcomes on stdout. See languages.py.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Merchant;
using Document = System.Collections.Generic.IDictionary<string, object>;

internal static class Driver
{
    private static int Main()
    {
        // A culture that writes 12,50: the shops this client is for are mostly not American.
        Thread.CurrentThread.CurrentCulture = new CultureInfo("nl-NL");
        CultureInfo.DefaultThreadCurrentCulture = new CultureInfo("nl-NL");
        var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false)).ReadToEnd();
        var outcomes = ((List<object>)Json.Parse(input)).Cast<Document>().Select(one => Timed(one).GetAwaiter().GetResult()).ToList();
        var output = Encoding.UTF8.GetBytes(Json.Write(outcomes));
        using (var stream = Console.OpenStandardOutput()) stream.Write(output, 0, output.Length);
        // Returning from Main, mono 6.8 now and then waits 5 to 60 s for a parked thread of its pool: in 13 of 600 runs of a bare
        // HttpClient without any of this code, and in 0 of 600 of the same program with this line.
        Environment.Exit(0);
        return 0;
    }

    private static async Task<Document> Timed(Document command)
    {
        var watch = Stopwatch.StartNew();
        var outcome = await Outcome(command);
        outcome["seconds"] = (decimal)watch.Elapsed.TotalSeconds;
        return outcome;
    }

    private static async Task<Document> Outcome(Document command)
    {
        try { return Json.Object("ok", await Perform(command)); }
        catch (MerchantBoxException error)
        {
            var failed = Json.Object("code", error.Code, "detail", error.Detail, "status", error.Status, "attempts", error.Attempts);
            if (error.RetryAfter != null) failed["retryAfter"] = (decimal)error.RetryAfter.Value.TotalSeconds;
            return Json.Object("failed", failed, "text", error.ToString());
        }
        catch (PostbackRefusedException error) { return Json.Object("refused", error.Code, "text", error.ToString()); }
        catch (ArgumentException error) { return Json.Object("misused", error.Message, "text", error.ToString()); }
    }

    private static async Task<object> Perform(Document one)
    {
        switch (one.Text("operation"))
        {
            case "signPage": return MerchantBox.SignPage(one.Text("secret"), OrderId(one), one.Text("action"), Texts(one, "values"), one.Text("currency"));
            case "amount": return MerchantBox.Amount(decimal.Parse(one.Text("amount"), CultureInfo.InvariantCulture), one.Number("decimals"));
            case "verifyPostback": return Verify(one);
        }
        using (var box = new MerchantBox(one.Text("url"), one.Text("key")))
        {
            Configure(box, (Document)Value(one, "options") ?? new Dictionary<string, object>());
            switch (one.Text("operation"))
            {
                case "show": return box.ToString();
                case "report": return Shown(await box.ReportAsync(Conversion((Document)one["argument"])));
                case "reportBatch": return (await box.ReportBatchAsync(Documents(one).Select(Conversion))).Select(Shown).ToList();
                case "validate": return (await box.ValidateAsync(Documents(one).Select(Validation))).Select(Shown).ToList();
                case "change": return Shown(await box.ChangeAsync(one.Text("conversionId"), Change(new Change(), (Document)one["argument"])));
                default: throw new InvalidOperationException(one.Text("operation"));
            }
        }
    }

    private static string Verify(Document one)
    {
        var headers = ((Document)one["headers"]).ToDictionary(each => each.Key, each => (string)each.Value, StringComparer.OrdinalIgnoreCase);
        Func<string, string> header = name => headers.ContainsKey(name) ? headers[name] : null;
        var payload = Convert.FromBase64String(one.Text("payloadBase64"));
        MerchantBox.VerifyPostback(Texts(one, "secrets"), header, payload, DateTimeOffset.FromUnixTimeSeconds((long)(decimal)one["now"]));
        return "accepted";
    }

    private static void Configure(MerchantBox box, Document options)
    {
        if (options.ContainsKey("timeout")) box.Timeout = TimeSpan.FromSeconds((double)(decimal)options["timeout"]);
        if (options.ContainsKey("patience")) box.Patience = TimeSpan.FromSeconds((double)(decimal)options["patience"]);
        if (options.ContainsKey("attempts")) box.Attempts = options.Number("attempts");
    }

    private static Conversion Conversion(Document one)
    {
        var conversion = new Conversion
        {
            Action = one.Text("action"), OrderId = one.Text("orderId"), Currency = one.Text("currency"), ClickId = one.Text("clickId"),
            Voucher = one.Text("voucher"), EventId = one.Text("eventId"), CustomerStatus = one.Text("customerStatus"), IsTest = one.Flag("isTest"),
            Values = Texts(one, "values"),
        };
        foreach (var pair in (Document)Value(one, "metadata") ?? new Dictionary<string, object>()) conversion.Metadata[pair.Key] = (string)pair.Value;
        foreach (Document item in (List<object>)Value(one, "items") ?? new List<object>())
            conversion.Items.Add(new Item { Group = item.Text("group"), Quantity = item.Number("quantity"), UnitPrice = item.Text("unitPrice"), Sku = item.Text("sku"), Name = item.Text("name") });
        return conversion;
    }

    private static Validation Validation(Document one)
    {
        return (Validation)Change(new Validation { ConversionId = one.Text("conversionId"), OrderId = one.Text("orderId"), Action = one.Text("action") }, one);
    }

    private static Change Change(Change change, Document one)
    {
        change.Status = one.Text("status");
        change.Reason = one.Text("reason");
        change.Amount = one.Text("amount");
        foreach (var pair in (Document)Value(one, "lines") ?? new Dictionary<string, object>()) change.Lines[pair.Key] = (string)pair.Value;
        return change;
    }

    // Through the properties, so that they are tested and not only the document beneath.
    private static object Shown(Answer answer)
    {
        var shown = Json.Object("code", answer.Code, "conversionId", answer.ConversionId, "status", answer.Status, "reason", answer.UnattributedReason);
        shown["attributed"] = answer.Attributed;
        shown["duplicate"] = answer.Duplicate;
        return shown;
    }

    private static object Shown(Row row)
    {
        return Json.Object("index", row.Index, "code", row.Code, "conversionId", row.ConversionId, "status", row.Status, "duplicate", row.Duplicate, "error", row.Error);
    }

    private static string OrderId(Document one)
    {
        return one.Text("orderId") ?? new string(((List<object>)one["orderIdCodeUnits"]).Select(unit => (char)(decimal)unit).ToArray());
    }

    private static IEnumerable<Document> Documents(Document one) { return ((List<object>)one["argument"]).Cast<Document>(); }

    private static List<string> Texts(Document one, string name) { return ((List<object>)Value(one, name) ?? new List<object>()).Cast<string>().ToList(); }

    private static object Value(Document one, string name)
    {
        object value;
        return one.TryGetValue(name, out value) ? value : null;
    }
}
