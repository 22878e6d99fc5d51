//! Stripe's objects.

use serde_json::{Value, json};

use crate::client::Client;
use crate::{start, stripe};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

#[tokio::test]
async fn a_request_needs_the_secret_key() {
    let (sandbox, _) = start().await;
    let bare = Client::new(&sandbox.base_url("stripe").unwrap());
    for (header, status) in [
        (None, 401),
        (Some("Bearer sk_test_wrong".to_owned()), 401),
        (Some("Bearer pk_test_x".to_owned()), 401),
        (Some("Basic !!".to_owned()), 401),
        (Some(format!("Bearer {}", crate::secret("stripe", "key"))), 200),
        // `key:` in base64.
        (Some("Basic c2tfdGVzdF9zYW5kYm94MDAwMDAwMDAwMDAwMDAwMDAwOg==".to_owned()), 200),
    ] {
        let client = match &header {
            Some(header) => bare.clone().header("authorization", header),
            None => bare.clone(),
        };
        let reply = client.get("/v1/customers").await;
        assert_eq!(reply.status, status, "{header:?}");
        if status == 401 {
            assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
        }
        assert!(reply.header("request-id").starts_with("req_"));
    }
}

#[tokio::test]
async fn a_customer_lives_and_dies() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox).header("stripe-version", "2025-03-31.basil");
    let reply = client
        .post(
            "/v1/customers",
            "email=zo%C3%AB%2Bx@example.com&name=Zo%C3%AB+%26+Co&metadata[k]=v&metadata[l]=w&address[city]=Lyon",
        )
        .await;
    assert_eq!(reply.header("stripe-version"), "2025-03-31.basil");
    let customer = reply.ok();
    let id = text(&customer["id"]);
    assert!(id.starts_with("cus_"));
    assert_eq!(customer["email"], "zoë+x@example.com");
    assert_eq!(customer["name"], "Zoë & Co");
    assert_eq!(
        customer["address"],
        json!({"city": "Lyon", "country": null, "line1": null, "line2": null, "postal_code": null, "state": null})
    );
    assert_eq!(customer["created"], 1_795_000_000);

    let path = format!("/v1/customers/{id}");
    let changed = client.post(&path, "name=&metadata[k]=&metadata[m]=x").await.ok();
    assert_eq!(changed["name"], Value::Null);
    assert_eq!(changed["metadata"], json!({"l": "w", "m": "x"}));

    assert_eq!(client.get("/v1/customers?email=zo%C3%AB%2Bx@example.com").await.ok()["data"][0]["id"], id.as_str());
    assert_eq!(client.get("/v1/customers?email=ZO%C3%AB%2Bx@example.com").await.ok()["data"], json!([]));
    let found = client.get("/v1/customers/search?query=email%3A%27ZO%C3%AB%2Bx%40example.com%27").await.ok();
    assert_eq!(found["data"][0]["id"], id.as_str());
    assert_eq!((&found["object"], &found["next_page"]), (&json!("search_result"), &Value::Null));

    assert_eq!(client.delete(&path).await.ok(), json!({"id": id, "object": "customer", "deleted": true}));
    assert_eq!(client.get(&path).await.ok()["deleted"], true);
    assert_eq!(client.get("/v1/customers").await.ok()["data"], json!([]));
    assert_eq!(client.delete(&path).await.error().0, 404);
    assert_eq!(client.post(&path, "name=x").await.error(), (404, "resource_missing".to_owned(), "id".to_owned()));
}

#[tokio::test]
async fn lists_page_both_ways() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    let mut made = Vec::new();
    for number in 0..25 {
        made.push(text(&client.post("/v1/customers", &format!("name={number}")).await.ok()["id"]));
    }
    made.reverse();
    let ids = |page: &Value| page["data"].as_array().unwrap().iter().map(|row| text(&row["id"])).collect::<Vec<_>>();

    let page = client.get("/v1/customers").await.ok();
    assert_eq!((ids(&page), &page["has_more"], &page["url"]), (made[..10].to_vec(), &json!(true), &json!("/v1/customers")));
    let page = client.get(&format!("/v1/customers?limit=10&starting_after={}", made[19])).await.ok();
    assert_eq!((ids(&page), &page["has_more"]), (made[20..].to_vec(), &json!(false)));
    // The page before an id holds those closest to it, newest first.
    let page = client.get(&format!("/v1/customers?limit=3&ending_before={}", made[10])).await.ok();
    assert_eq!((ids(&page), &page["has_more"]), (made[7..10].to_vec(), &json!(true)));
    let page = client.get(&format!("/v1/customers?limit=100&ending_before={}", made[2])).await.ok();
    assert_eq!((ids(&page), &page["has_more"]), (made[..2].to_vec(), &json!(false)));

    for (query, code, param) in [
        ("limit=0", "parameter_invalid_integer", "limit"),
        ("limit=101", "parameter_invalid_integer", "limit"),
        ("starting_after=cus_none", "resource_missing", "starting_after"),
        ("colour=red", "parameter_unknown", "colour"),
    ] {
        let error = client.get(&format!("/v1/customers?{query}")).await.error();
        assert_eq!(error, (400, code.to_owned(), param.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    for (path, form, status, code, param) in [
        ("/v1/customers", "colour=red", 400, "parameter_unknown", "colour"),
        ("/v1/customers", "address[planet]=x", 400, "parameter_unknown", "address[planet]"),
        ("/v1/customers", "email=nobody", 400, "email_invalid", "email"),
        ("/v1/products", "", 400, "parameter_missing", "name"),
        ("/v1/prices", "currency=usd&product=prod_x", 400, "parameter_missing", "unit_amount"),
        ("/v1/prices", "currency=usd&unit_amount=5&product=prod_x", 400, "resource_missing", "product"),
        (
            "/v1/payment_links",
            "line_items[0][price]=price_x&line_items[0][quantity]=1",
            400,
            "resource_missing",
            "line_items[0][price]",
        ),
        ("/v1/payment_intents", "amount=5&currency=usd", 400, "amount_too_small", "amount"),
        ("/v1/payment_intents", "amount=5.5&currency=usd", 400, "parameter_invalid_integer", "amount"),
        ("/v1/subscriptions", "customer=cus_x&items[0][price]=price_x", 400, "resource_missing", "customer"),
        ("/v1/checkout/sessions", "mode=payment&success_url=https://e.com", 400, "parameter_missing", "line_items"),
        ("/v1/refunds", "amount=5", 400, "parameter_missing", "charge"),
        ("/v1/nothing", "", 404, "", ""),
        ("/v1/coupons", "duration=once", 400, "parameter_missing", "percent_off"),
        ("/v1/webhook_endpoints", "url=ftp://x&enabled_events[]=*", 400, "url_invalid", "url"),
        (
            "/v1/webhook_endpoints",
            "url=https://e.com&enabled_events[]=charge.failed&enabled_events[]=charge.exploded",
            400,
            "parameter_invalid",
            "enabled_events[1]",
        ),
    ] {
        let reply = client.post(path, form).await;
        assert_eq!(reply.error(), (status, code.to_owned(), param.to_owned()), "{path} {form}");
    }
    let reply = client.json("POST", "/v1/customers", &json!({"name": "x"})).await;
    assert_eq!(reply.status, 400);
    let long = "x".repeat(2_000_000);
    assert_eq!(client.post("/v1/customers", &long).await.status, 413);
    assert_eq!(client.post("/v1/customers", &format!("metadata[k]={}", "x".repeat(501))).await.status, 400);
    assert_eq!(client.clone().header("stripe-version", "latest").get("/v1/customers").await.status, 400);
}

#[tokio::test]
async fn a_payment_link_sells_what_it_names() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    let product = client.post("/v1/products", "name=Teapot").await.ok();
    let price = client.post("/v1/prices", &format!("currency=EUR&unit_amount=3900&product={}", text(&product["id"]))).await.ok();
    assert_eq!(
        (&price["currency"], &price["unit_amount_decimal"], &price["type"]),
        (&json!("eur"), &json!("3900"), &json!("one_time"))
    );
    let form = format!(
        "line_items[0][price]={}&line_items[0][quantity]=2&line_items[1][price_data][currency]=eur&line_items[1][price_data][unit_amount]=500&line_items[1][price_data][product_data][name]=Tea&line_items[1][quantity]=1&after_completion[type]=redirect&after_completion[redirect][url]=https%3A%2F%2Fexample.com%2Fok&allow_promotion_codes=true&metadata[source]=flow",
        text(&price["id"])
    );
    let link = client.post("/v1/payment_links", &form).await.ok();
    let id = text(&link["id"]);
    assert!(text(&link["url"]).starts_with("https://buy.stripe.com/"));
    assert_eq!(link["after_completion"], json!({"type": "redirect", "redirect": {"url": "https://example.com/ok"}}));
    assert_eq!(
        (&link["active"], &link["allow_promotion_codes"], &link["metadata"]["source"]),
        (&json!(true), &json!(true), &json!("flow"))
    );
    let items = client.get(&format!("/v1/payment_links/{id}/line_items")).await.ok();
    assert_eq!(
        items["data"].as_array().unwrap().iter().map(|item| item["amount_total"].clone()).collect::<Vec<_>>(),
        [json!(7_800), json!(500)]
    );
    let expanded = client.get(&format!("/v1/payment_links/{id}?expand[]=line_items")).await.ok();
    assert_eq!(expanded["line_items"]["data"], items["data"]);
    let off = client.post(&format!("/v1/payment_links/{id}"), "active=false").await.ok();
    assert_eq!(off["active"], false);
    assert_eq!(client.get("/v1/payment_links?active=true").await.ok()["data"], json!([]));
    assert_eq!(sandbox.snapshot()["stripe"]["payment_links"][0]["id"], id.as_str());
}

#[tokio::test]
async fn cards_pay_or_are_declined() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    let paid = client
        .post("/v1/payment_intents", "amount=1099&currency=usd&confirm=true&payment_method=pm_card_visa&metadata[order]=1")
        .await
        .ok();
    assert_eq!((&paid["status"], &paid["amount_received"]), (&json!("succeeded"), &json!(1_099)));
    let charge = client.get(&format!("/v1/charges/{}", text(&paid["latest_charge"]))).await.ok();
    assert_eq!((&charge["paid"], &charge["captured"], &charge["metadata"]["order"]), (&json!(true), &json!(true), &json!("1")));

    let declined = client
        .post(
            "/v1/payment_intents",
            "amount=1099&currency=usd&confirm=true&payment_method=pm_card_chargeDeclinedInsufficientFunds",
        )
        .await;
    assert_eq!(declined.status, 402);
    let error = declined.json()["error"].clone();
    assert_eq!(
        (&error["type"], &error["code"], &error["decline_code"]),
        (&json!("card_error"), &json!("card_declined"), &json!("insufficient_funds"))
    );
    assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
    let failed = client.get(&format!("/v1/charges/{}", text(&error["charge"]))).await.ok();
    assert_eq!((&failed["status"], &failed["outcome"]["reason"]), (&json!("failed"), &json!("insufficient_funds")));
    let again = format!("/v1/payment_intents/{}/confirm", text(&error["payment_intent"]["id"]));
    assert_eq!(client.post(&again, "payment_method=pm_card_mastercard").await.ok()["status"], "succeeded");
    assert_eq!(client.post(&again, "payment_method=pm_card_mastercard").await.error().1, "payment_intent_unexpected_state");

    let id = text(
        &client
            .post(
                "/v1/payment_intents",
                "amount=2000&currency=usd&capture_method=manual&confirm=true&payment_method=pm_card_visa",
            )
            .await
            .ok()["id"],
    );
    let captured = client.post(&format!("/v1/payment_intents/{id}/capture"), "amount_to_capture=1500").await.ok();
    assert_eq!((&captured["status"], &captured["amount_received"]), (&json!("succeeded"), &json!(1_500)));
    let waiting = text(&client.post("/v1/payment_intents", "amount=2000&currency=usd").await.ok()["id"]);
    let canceled = client.post(&format!("/v1/payment_intents/{waiting}/cancel"), "cancellation_reason=duplicate").await.ok();
    assert_eq!((&canceled["status"], &canceled["cancellation_reason"]), (&json!("canceled"), &json!("duplicate")));
}

#[tokio::test]
async fn refunds_stop_at_what_was_paid() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    let intent =
        client.post("/v1/payment_intents", "amount=1000&currency=usd&confirm=true&payment_method=pm_card_visa").await.ok();
    let form = format!("payment_intent={}", text(&intent["id"]));
    let refund = client.post("/v1/refunds", &format!("{form}&amount=400&reason=duplicate&metadata[a]=b")).await.ok();
    assert_eq!(
        (&refund["amount"], &refund["reason"], &refund["metadata"]),
        (&json!(400), &json!("duplicate"), &json!({"a": "b"}))
    );
    assert_eq!(client.post("/v1/refunds", &format!("{form}&amount=601")).await.error().1, "amount_too_large");
    assert_eq!(client.post("/v1/refunds", &form).await.ok()["amount"], 600);
    assert_eq!(client.post("/v1/refunds", &form).await.error().1, "charge_already_refunded");
    let charge = client
        .get(&format!("/v1/charges/{}?expand[]=refunds&expand[]=payment_intent", text(&intent["latest_charge"])))
        .await
        .ok();
    assert_eq!((&charge["refunded"], &charge["amount_refunded"]), (&json!(true), &json!(1_000)));
    assert_eq!(charge["refunds"]["data"].as_array().unwrap().len(), 2);
    assert_eq!(charge["payment_intent"]["object"], "payment_intent");
    let events = client.get("/v1/events?type=charge.refunded").await.ok();
    assert_eq!(events["data"][1]["data"]["object"]["refunded"], false);
    assert_eq!(events["data"][0]["data"]["previous_attributes"], json!({"amount_refunded": 400, "refunded": false}));
}

#[tokio::test]
async fn subscriptions_begin_change_and_end() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    let price =
        client.post("/v1/prices", "currency=usd&unit_amount=1900&recurring[interval]=month&product_data[name]=Club").await.ok();
    let price = text(&price["id"]);
    let poor = text(&client.post("/v1/customers", "email=p@example.com").await.ok()["id"]);
    let rich = text(&client.post("/v1/customers", "email=r@example.com&payment_method=pm_card_visa").await.ok()["id"]);
    let broke =
        text(&client.post("/v1/customers", "email=b@example.com&payment_method=pm_card_chargeCustomerFail").await.ok()["id"]);

    let form = |customer: &str, more: &str| format!("customer={customer}&items[0][price]={price}&items[0][quantity]=3{more}");
    assert_eq!(client.post("/v1/subscriptions", &form(&poor, "")).await.error().1, "resource_missing");
    assert_eq!(client.post("/v1/subscriptions", &form(&poor, "&trial_period_days=14")).await.ok()["status"], "trialing");
    assert_eq!(
        client.post("/v1/subscriptions", &form(&poor, "&payment_behavior=default_incomplete")).await.ok()["status"],
        "incomplete"
    );
    assert_eq!(
        client.post("/v1/subscriptions", &form(&poor, "&collection_method=send_invoice&days_until_due=30")).await.ok()["status"],
        "active"
    );
    assert_eq!(client.post("/v1/subscriptions", &form(&broke, "")).await.ok()["status"], "incomplete");
    assert_eq!(client.post("/v1/subscriptions", &form(&broke, "&payment_behavior=error_if_incomplete")).await.status, 402);

    let made = client.post("/v1/subscriptions", &form(&rich, "&expand[]=latest_invoice")).await.ok();
    assert_eq!(
        (&made["status"], &made["latest_invoice"]["status"], &made["latest_invoice"]["amount_paid"]),
        (&json!("active"), &json!("paid"), &json!(5_700))
    );
    let item = &made["items"]["data"][0];
    assert_eq!(item["quantity"], 3);
    // 2026-11-18T11:06:40Z and a month later.
    assert_eq!(item["current_period_end"], 1_797_592_000);
    let path = format!("/v1/subscriptions/{}", text(&made["id"]));
    let changed = client
        .post(&path, &format!("items[0][id]={}&items[0][quantity]=1&cancel_at_period_end=true", text(&item["id"])))
        .await
        .ok();
    assert_eq!((&changed["items"]["data"][0]["quantity"], &changed["cancel_at_period_end"]), (&json!(1), &json!(true)));
    assert_eq!(client.delete(&path).await.ok()["status"], "canceled");
    assert_eq!(client.delete(&path).await.error().0, 404);

    let running = client.get(&format!("/v1/subscriptions?customer={poor}")).await.ok();
    assert_eq!(running["data"].as_array().unwrap().len(), 3);
    client.delete(&format!("/v1/customers/{poor}")).await.ok();
    let running = client.get(&format!("/v1/subscriptions?customer={poor}")).await.ok();
    assert_eq!(running["data"], json!([]));
}

#[tokio::test]
async fn invoices_go_from_draft_to_paid() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    let customer = text(&client.post("/v1/customers", "email=a@example.com&name=Ada").await.ok()["id"]);
    let missing = client.post("/v1/invoices", &format!("customer={customer}&collection_method=send_invoice")).await;
    assert_eq!(missing.error().2, "days_until_due");
    let invoice = client.post("/v1/invoices", &format!("customer={customer}&collection_method=send_invoice&days_until_due=30&custom_fields[0][name]=PO&custom_fields[0][value]=42")).await.ok();
    let id = text(&invoice["id"]);
    assert_eq!(
        (&invoice["status"], &invoice["number"], &invoice["customer_email"]),
        (&json!("draft"), &Value::Null, &json!("a@example.com"))
    );
    client
        .post("/v1/invoiceitems", &format!("customer={customer}&invoice={id}&amount=1200&currency=usd&description=Work"))
        .await
        .ok();
    let open = client.post(&format!("/v1/invoices/{id}/finalize"), "").await.ok();
    assert_eq!(
        (&open["status"], &open["amount_due"], &open["lines"]["data"][0]["description"]),
        (&json!("open"), &json!(1_200), &json!("Work"))
    );
    assert!(text(&open["number"]).ends_with("-0001"));
    client.post(&format!("/v1/invoices/{id}/send"), "").await.ok();
    assert_eq!(client.post(&format!("/v1/invoices/{id}/pay"), "").await.error().1, "resource_missing");
    assert_eq!(client.post(&format!("/v1/invoices/{id}/pay"), "payment_method=pm_card_chargeDeclined").await.status, 402);
    let failed = client.get(&format!("/v1/invoices/{id}")).await.ok();
    assert_eq!((&failed["status"], &failed["attempt_count"]), (&json!("open"), &json!(1)));
    let paid = client.post(&format!("/v1/invoices/{id}/pay"), "paid_out_of_band=true").await.ok();
    assert_eq!((&paid["status"], &paid["amount_paid"]), (&json!("paid"), &json!(1_200)));
    assert_eq!(client.post(&format!("/v1/invoices/{id}/void"), "").await.error().1, "invoice_not_editable");
    let types: Vec<String> = client.get("/v1/events?type=invoice.*&limit=100").await.ok()["data"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|event| text(&event["type"]))
        .collect();
    assert_eq!(types, ["invoice.created", "invoice.finalized", "invoice.sent", "invoice.payment_failed", "invoice.paid"]);
}

#[tokio::test]
async fn the_rest_of_the_actions_answer() {
    let (sandbox, clock) = start().await;
    let client = stripe(&sandbox);
    let customer = text(&client.post("/v1/customers", "email=a@example.com").await.ok()["id"]);
    let coupon = client.post("/v1/coupons", "percent_off=12.5&duration=repeating&duration_in_months=3&name=Spring").await.ok();
    assert_eq!(coupon["percent_off"], json!(12.5));
    let code = client
        .post("/v1/promotion_codes", &format!("promotion[type]=coupon&promotion[coupon]={}&code=SPRING", text(&coupon["id"])))
        .await
        .ok();
    assert_eq!(code["code"], "SPRING");
    for (query, count) in
        [("code=spring", 1), ("code=AUTUMN", 0), ("active=false", 0), (&*format!("coupon={}", text(&coupon["id"])), 1)]
    {
        let found = client.get(&format!("/v1/promotion_codes?{query}")).await.ok();
        assert_eq!(found["data"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(
        client
            .post("/v1/promotion_codes", &format!("promotion[type]=coupon&promotion[coupon]={}&code=spring", text(&coupon["id"])))
            .await
            .status,
        400
    );
    let price = text(
        &client.post("/v1/prices", "currency=usd&unit_amount=1999&recurring[interval]=year&product_data[name]=Club").await.ok()["id"],
    );
    let made = client
        .post("/v1/subscriptions", &format!("customer={customer}&items[0][price]={price}&payment_behavior=default_incomplete&discounts[0][promotion_code]={}&expand[]=latest_invoice", text(&code["id"])))
        .await
        .ok();
    // 12.5 % of 1999 is 249.875.
    assert_eq!(made["latest_invoice"]["amount_due"], 1_749);

    let session = client.post("/v1/checkout/sessions", &format!("mode=subscription&line_items[0][price]={price}&line_items[0][quantity]=1&success_url=https%3A%2F%2Fe.com%2F%3Fs%3D%7BCHECKOUT_SESSION_ID%7D&customer_email=c@example.com")).await.ok();
    assert_eq!((&session["status"], &session["success_url"]), (&json!("open"), &json!("https://e.com/?s={CHECKOUT_SESSION_ID}")));
    let path = format!("/v1/checkout/sessions/{}/expire", text(&session["id"]));
    assert_eq!(client.post(&path, "").await.ok()["status"], "expired");
    assert_eq!(client.post(&path, "").await.status, 400);

    let portal = client.post("/v1/billing_portal/sessions", &format!("customer={customer}&return_url=https://e.com")).await.ok();
    assert!(text(&portal["url"]).starts_with("https://billing.stripe.com/"));
    let credit = client.post(&format!("/v1/customers/{customer}/balance_transactions"), "amount=-500&currency=usd").await.ok();
    assert_eq!(credit["ending_balance"], -500);
    assert_eq!(client.get(&format!("/v1/customers/{customer}")).await.ok()["balance"], -500);
    assert_eq!(client.get("/v1/balance").await.ok()["object"], "balance");

    let played = sandbox.open_dispute(7_500, "usd", "d@example.com").await.unwrap();
    let dispute = format!("/v1/disputes/{}", text(&played.objects[0]["id"]));
    let sent = client.post(&dispute, "evidence[product_description]=A+teapot&submit=true").await.ok();
    assert_eq!((&sent["status"], &sent["evidence"]["product_description"]), (&json!("under_review"), &json!("A teapot")));
    assert_eq!(client.post(&format!("{dispute}/close"), "").await.status, 400);

    // A session that nobody completes ends after a day.
    let open = client.post("/v1/checkout/sessions", "mode=setup&success_url=https://e.com").await.ok();
    clock.advance(std::time::Duration::from_secs(24 * 3_600));
    let path = format!("/v1/checkout/sessions/{}", text(&open["id"]));
    let mut activity = 0;
    while client.get(&path).await.ok()["status"] != "expired" {
        activity += 1;
        assert!(activity < 1_000, "the session never expired");
    }
}

#[tokio::test]
async fn amounts_and_currencies_that_there_are_not() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    for (body, code, param) in [
        ("amount=1234&currency=kwd", "parameter_invalid_integer", "amount"),
        ("amount=150050&currency=isk", "parameter_invalid_integer", "amount"),
        ("amount=49&currency=usd", "amount_too_small", "amount"),
        ("amount=1000&currency=xqz", "parameter_invalid", "currency"),
        ("amount=10.5&currency=usd", "parameter_invalid_integer", "amount"),
        ("currency=usd", "parameter_missing", "amount"),
        ("amount=1000&currency=usd&payment_method_types[]=card", "parameter_unknown", "payment_method_types"),
    ] {
        let error = client.post("/v1/payment_intents", body).await.error();
        assert_eq!(error, (400, code.to_owned(), param.to_owned()), "{body}");
    }
    assert_eq!(client.post("/v1/payment_intents", "amount=12340&currency=kwd").await.ok()["amount"], 12_340);
    // What costs less than a cent: the sum is exact.
    let cheap = "mode=payment&success_url=https://e.com&line_items[0][price_data][currency]=usd&line_items[0][price_data][unit_amount_decimal]=0.35&line_items[0][price_data][product_data][name]=Bolt&line_items[0][quantity]=300";
    let session = client.post("/v1/checkout/sessions", cheap).await.ok();
    assert_eq!(session["amount_total"], 105);
    let customer = text(&client.post("/v1/customers", "name=a").await.ok()["id"]);
    let credit = format!("/v1/customers/{customer}/balance_transactions");
    assert_eq!(client.post(&credit, "amount=-500&currency=usd").await.ok()["ending_balance"], -500);
    assert_eq!(client.post(&credit, "amount=-500&currency=eur").await.error().0, 400);
    assert_eq!(client.get(&credit).await.ok()["data"][0]["amount"], -500);
}

#[tokio::test]
async fn what_belongs_to_something_is_listed() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    let customer = text(&client.post("/v1/customers", "name=a&payment_method=pm_card_visa").await.ok()["id"]);
    let methods = client.get(&format!("/v1/customers/{customer}/payment_methods")).await.ok();
    assert_eq!(methods["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(client.get(&format!("/v1/payment_methods?customer={customer}&type=card")).await.ok()["data"], methods["data"]);
    let invoice = text(&client.post("/v1/invoices", &format!("customer={customer}")).await.ok()["id"]);
    for (amount, name) in [(100, "one"), (200, "two")] {
        let body = format!("customer={customer}&invoice={invoice}&amount={amount}&currency=usd&description={name}");
        client.post("/v1/invoiceitems", &body).await.ok();
    }
    let lines = client.get(&format!("/v1/invoices/{invoice}/lines?limit=1")).await.ok();
    assert_eq!((&lines["data"][0]["description"], &lines["has_more"]), (&json!("one"), &json!(true)));
    let items = client.get(&format!("/v1/invoiceitems?invoice={invoice}")).await.ok();
    assert_eq!(items["data"].as_array().map(Vec::len), Some(2));
    let price = text(
        &client.post("/v1/prices", "currency=usd&unit_amount=500&product_data[name]=Club&recurring[interval]=month").await.ok()["id"],
    );
    let made = client.post("/v1/subscriptions", &format!("customer={customer}&items[0][price]={price}")).await.ok();
    let items = client.get(&format!("/v1/subscription_items?subscription={}", text(&made["id"]))).await.ok();
    assert_eq!(items["data"][0]["id"], made["items"]["data"][0]["id"]);
    let coupon = text(&client.post("/v1/coupons", "percent_off=5").await.ok()["id"]);
    assert_eq!(client.post(&format!("/v1/coupons/{coupon}"), "name=Tea").await.ok()["name"], "Tea");
    let code = client.post("/v1/promotion_codes", &format!("promotion[type]=coupon&promotion[coupon]={coupon}")).await.ok();
    let code = format!("/v1/promotion_codes/{}", text(&code["id"]));
    assert_eq!(client.post(&code, "active=false").await.ok()["active"], false);
}
