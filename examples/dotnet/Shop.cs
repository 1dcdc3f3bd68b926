// A shop on the console: it sells a basket and tells the merchant box from the server, then shows what belongs on its page.
//
//   mcs -r:System.Net.Http.dll MerchantBox.cs Shop.cs -out:Shop.exe
//   BOX_KEY=box_… PAGE_SECRET=… mono Shop.exe https://box.example ORDER-1 3x19.90 1x40.30 [clickId]
//
// The key and the page secret come from the environment: arguments can be read by every user of the machine.

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Threading.Tasks;
using Merchant;

internal static class Shop
{
    private const string Currency = "EUR";

    private static void Main(string[] arguments)
    {
        // Not by returning: mono 6.8 then sometimes waits up to a minute for its thread pool.
        Environment.Exit(Run(arguments));
    }

    private static int Run(string[] arguments)
    {
        if (arguments.Length < 3)
        {
            Console.Error.WriteLine("usage: BOX_KEY=box_… PAGE_SECRET=… Shop.exe BOX-URL ORDER-ID QUANTITYxPRICE… [CLICK-ID]");
            return 2;
        }
        try
        {
            SellAsync(arguments[0], arguments[1], arguments.Skip(2).ToList()).GetAwaiter().GetResult();
            return 0;
        }
        catch (MerchantBoxException refused)
        {
            // A real shop keeps the order and reports it again later: the order id makes that safe.
            Console.Error.WriteLine("not reported after {0} attempt(s): {1}", refused.Attempts, refused.Message);
            return 1;
        }
    }

    private static async Task SellAsync(string url, string orderId, List<string> rest)
    {
        var lines = rest.Where(one => one.Contains("x") && char.IsDigit(one[0])).Select(Line).ToList();
        var total = MerchantBox.Amount(lines.Sum(line => line.Key * line.Value));
        var sale = new Conversion { Action = "sale", OrderId = orderId, Values = { total }, Currency = Currency };
        if (rest.Count > lines.Count) sale.ClickId = rest.Last();

        using (var box = new MerchantBox(url, Environment.GetEnvironmentVariable("BOX_KEY")))
        {
            var answer = await box.ReportAsync(sale);
            Console.WriteLine("sold {0} for {1} {2}", orderId, total, Currency);
            Console.WriteLine("box: {0} {1} {2}{3}", answer.Code, answer.ConversionId, answer.Status, answer.Duplicate ? " (known)" : "");
        }
        Console.WriteLine("page: {0}", Page(orderId, total));
    }

    /// The thank-you page may report the order too: the box knows that it is the same one, and the signature makes it believed.
    private static string Page(string orderId, string total)
    {
        var signature = MerchantBox.SignPage(Environment.GetEnvironmentVariable("PAGE_SECRET"), orderId, "sale", new[] { total }, Currency);
        return string.Format(
            "mtag('sale', null, {{orderId: {0}, currency: '{1}', signature: '{2}'}}, ['{3}'])", Script(orderId), Currency, signature, total);
    }

    /// A JavaScript string that cannot end the script element it stands in.
    private static string Script(string text)
    {
        return "'" + string.Concat(text.Select(one => char.IsLetterOrDigit(one) || "-_.".IndexOf(one) >= 0 ? one.ToString() : "\\u" + ((int)one).ToString("x4"))) + "'";
    }

    private static KeyValuePair<int, decimal> Line(string text)
    {
        var parts = text.Split('x');
        return new KeyValuePair<int, decimal>(int.Parse(parts[0], CultureInfo.InvariantCulture), decimal.Parse(parts[1], CultureInfo.InvariantCulture));
    }
}
