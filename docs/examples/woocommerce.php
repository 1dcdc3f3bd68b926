<?php
/**
 * Plugin Name: Merchant box tag
 * Description: Puts the tag on every page and reports the order on the page that confirms it.
 */

const MERCHANT_BOX = 'https://box.example';

add_action('wp_head', function () {
    echo "<script>window.mtag=window.mtag||function(){(mtag.q=mtag.q||[]).push(arguments)};mtag.u=mtag.u||location.href</script>\n";
    echo '<script async src="' . esc_url(MERCHANT_BOX . '/libs/mtag.js') . "\"></script>\n";
}, 1);

add_action('woocommerce_thankyou', function ($order_id) {
    $order = wc_get_order($order_id);
    $metadata = ['orderId' => $order->get_order_number(), 'currency' => $order->get_currency()];
    $codes = $order->get_coupon_codes();
    if ($codes) {
        $metadata['voucher'] = $codes[0];
    }
    // Commission is paid on what was sold: without shipping and tax. With the shop's own decimals: a yen has none.
    $sold = (float) $order->get_subtotal() - (float) $order->get_total_discount();
    $value = number_format($sold, wc_get_price_decimals(), '.', '');
    // Hex escapes: an order number can hold nothing that ends the script.
    $flags = JSON_HEX_TAG | JSON_HEX_AMP | JSON_HEX_APOS | JSON_HEX_QUOT;
    printf("<script>mtag('sale',null,%s,%s)</script>\n", json_encode($metadata, $flags), json_encode([$value], $flags));
});
