//! The page, as a browser asks for it, and as others might. That it works in a browser is for `tests/page.sh`.

use std::net::SocketAddr;

use flow_sandbox::{Options, Sandbox, SandboxError};
use serde_json::{Value, json};

use crate::client::{Client, Reply};

async fn start() -> (Sandbox, Client, String) {
    let options = Options { page: Some(SocketAddr::from(([127, 0, 0, 1], 0))), ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let url = sandbox.page_url().unwrap();
    let url = url.trim_end_matches('/').to_owned();
    let host = url.trim_start_matches("http://").to_owned();
    let page = Client::new(&url).header("host", &host);
    (sandbox, page, url)
}

async fn token(page: &Client) -> String {
    let html = page.get("/").await;
    let html = String::from_utf8(html.body.to_vec()).unwrap();
    let (_, rest) = html.split_once("name=\"sandbox-token\" content=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

async fn act(page: &Client, body: Value) -> Reply {
    page.clone().header("x-sandbox-token", &token(page).await).json("POST", "/act", &body).await
}

/// Presses a button.
async fn press(page: &Client, service: &str, button: &str, fields: Value) -> Reply {
    act(page, json!({"service": service, "act": "press", "button": button, "fields": fields})).await
}

async fn tables(page: &Client, service: &str) -> Vec<Value> {
    page.get("/state").await.ok()["services"][service]["tables"].as_array().unwrap().clone()
}

fn rows(tables: &[Value], title: &str) -> Vec<Value> {
    tables.iter().find(|table| table["title"] == title).unwrap()["rows"].as_array().unwrap().clone()
}

#[tokio::test]
async fn buttons_make_things_happen_and_the_page_shows_them() {
    let (sandbox, page, _) = start().await;
    let given = json!({"amount": "250.5", "currency": "usd", "email": "<b>ada</b>@example.com", "failure": "expired_card"});
    assert_eq!(press(&page, "stripe", "fail", given).await.ok(), json!({"done": "A charge fails"}));
    let charges = rows(&tables(&page, "stripe").await, "Charges");
    let charge: Vec<&str> = charges[0].as_array().unwrap().iter().map(|cell| cell.as_str().unwrap()).collect();
    // The state is data: a script makes text of it.
    assert_eq!(charge.get(..4), Some(&["250.50 USD", "failed", "expired_card", "<b>ada</b>@example.com"][..]));

    press(&page, "stripe", "pay", json!({"amount": "5000", "currency": "jpy", "email": ""})).await.ok();
    assert_eq!(sandbox.snapshot()["stripe"]["charges"][1]["amount"], 5_000);
    assert_eq!(rows(&tables(&page, "stripe").await, "Charges")[0][0], "5000 JPY");

    press(&page, "kustomer", "write", json!({"email": "eve@example.com", "subject": "Help", "text": "Please"})).await.ok();
    assert_eq!(rows(&tables(&page, "kustomer").await, "Conversations")[0][0], "Help");
    press(&page, "kustomer", "close", json!({})).await.ok();
    assert_eq!(rows(&tables(&page, "kustomer").await, "Conversations")[0][1], "done");

    press(&page, "sesame", "unlock", json!({"by": "Ada"})).await.ok();
    press(&page, "sesame", "battery", json!({"level": "8"})).await.ok();
    let doors = rows(&tables(&page, "sesame").await, "Doors");
    assert!(doors.iter().any(|door| door[0] == "unlocked" && door[1] == "8 %"), "{doors:?}");
    let latest = page.get("/state").await.ok()["latest"][0].clone();
    assert_eq!((&latest["service"], &latest["summary"]), (&json!("sesame"), &json!("The battery falls")));
    press(&page, "sesame", "lock", json!({"by": "Ada", "how": "app"})).await.ok();
    press(&page, "sesame", "spend", json!({})).await.ok();
    let calls = rows(&tables(&page, "sesame").await, "Calls of the month")[0].clone();
    assert_eq!((&calls[0], &calls[1]), (&json!("1000"), &json!("1000")));
    let door = sandbox.snapshot()["sesame"]["devices"]["11223344-5566-7788-99AA-BBCCDDEEFF00"]["history"].clone();
    let codes: Vec<&Value> = door.as_array().unwrap().iter().map(|line| &line["type"]).collect();
    assert_eq!(codes, [8, 1, 10], "the app asks and the motor turns");
}

/// Each button of each service does something with what is filled in at first.
#[tokio::test]
async fn every_button_works_as_it_stands() {
    let (_sandbox, page, _) = start().await;
    let panels = page.get("/panels").await.ok();
    let mut pressed = 0;
    for panel in panels["services"].as_array().unwrap() {
        let fields: Value = panel["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| (field["name"].as_str().unwrap().to_owned(), field["value"].clone()))
            .collect();
        for button in panel["buttons"].as_array().unwrap() {
            let (service, id) = (panel["service"].as_str().unwrap(), button["id"].as_str().unwrap());
            let reply = press(&page, service, id, fields.clone()).await;
            assert_eq!(reply.status, 200, "{service} {id}: {}", reply.json());
            pressed += 1;
        }
    }
    assert!(pressed >= 15, "{pressed}");
    for fault in panels["faults"].as_array().unwrap() {
        act(&page, json!({"service": "stripe", "act": "fault", "fault": fault["id"]})).await.ok();
    }
}

#[tokio::test]
async fn what_cannot_happen_is_said_and_a_fault_goes_on_and_off() {
    let (sandbox, page, _) = start().await;
    for (amount, currency) in
        [("", "usd"), ("1.234", "usd"), ("-5", "usd"), ("12.5", "jpy"), ("1e9", "usd"), ("999999999999", "usd")]
    {
        let reply = press(&page, "stripe", "fail", json!({"amount": amount, "currency": currency})).await;
        assert!(reply.status == 400 && reply.json()["error"].as_str().unwrap().contains("amount"), "{amount}");
    }
    assert_eq!(press(&page, "stripe", "explode", json!({})).await.status, 400);
    assert_eq!(press(&page, "nobody", "fail", json!({})).await.status, 400);
    assert_eq!(act(&page, json!([1])).await.status, 400);
    assert_eq!(sandbox.snapshot()["stripe"]["charges"], json!([]));

    act(&page, json!({"service": "kustomer", "act": "fault", "fault": "down"})).await.ok();
    let kustomer = Client::new(&sandbox.base_url("kustomer").unwrap());
    assert_eq!(kustomer.get("/v1/customers/1").await.status, 503);
    assert_eq!(page.get("/state").await.ok()["services"]["kustomer"]["faults"], 1);
    act(&page, json!({"service": "kustomer", "act": "fault", "fault": "none"})).await.ok();
    assert_eq!(kustomer.get("/v1/customers/1").await.status, 401);
    press(&page, "kustomer", "write", json!({"email": "eve@example.com"})).await.ok();
    act(&page, json!({"service": "kustomer", "act": "reset"})).await.ok();
    assert!(rows(&tables(&page, "kustomer").await, "Conversations").is_empty());
}

#[tokio::test]
async fn news_is_told_as_soon_as_there_is_some() {
    let (sandbox, page, _) = start().await;
    let state = page.get("/state").await.ok();
    let path = format!("/state?since={}&mark={}", state["version"], state["mark"].as_str().unwrap());
    // Nothing happens: no news after a while.
    assert_eq!(page.get(&path).await.status, 204);
    let waiting = tokio::spawn({
        let (page, path) = (page.clone(), path.clone());
        async move { page.get(&path).await.ok() }
    });
    press(&page, "stripe", "customer", json!({"name": "Emi", "email": "emi@example.com"})).await.ok();
    let news = waiting.await.unwrap();
    assert!(news["version"].as_u64() > state["version"].as_u64(), "{news}");
    assert_eq!(rows(news["services"]["stripe"]["tables"].as_array().unwrap(), "Customers")[0][0], "Emi");
    let stripe = Client::new(&sandbox.base_url("stripe").unwrap());
    stripe.get("/v1/customers").await;
    let news = page.get("/state?since=0").await.ok();
    assert_eq!((&news["latest"][0]["what"], &news["latest"][0]["status"]), (&json!("GET /v1/customers"), &json!(401)));
}

#[tokio::test]
async fn the_page_answers_to_itself_alone() {
    let (sandbox, page, url) = start().await;
    let whole = page.get("/").await;
    assert_eq!((whole.status, whole.header("x-frame-options"), whole.header("cache-control")), (200, "DENY", "no-store"));
    let policy = whole.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let html = String::from_utf8(whole.body.to_vec()).unwrap();
    assert!(
        !html.contains("http://") && !html.contains("https://") && !html.contains(" style=") && !html.contains("<script>"),
        "{html}"
    );
    assert_ne!(token(&page).await, token(&start().await.1).await);

    let press =
        json!({"service": "stripe", "act": "press", "button": "customer", "fields": {"name": "Eve", "email": "eve@example.com"}});
    let good = page
        .clone()
        .header("x-sandbox-token", &token(&page).await)
        .header("origin", &url)
        .header("sec-fetch-site", "same-origin");
    for other in [
        // Another page of the same browser, with or without its own idea of the token.
        good.clone().header("origin", "https://evil.example"),
        good.clone().header("origin", "null"),
        good.clone().header("origin", "http://127.0.0.1:1"),
        good.clone().header("sec-fetch-site", "cross-site"),
        good.clone().header("sec-fetch-site", "same-site"),
        good.clone().header("x-sandbox-token", "guessed"),
        page.clone().header("origin", &url),
        page.clone(),
        // A name of somebody else that leads here.
        good.clone().header("host", "evil.example"),
        good.clone().header("host", "127.0.0.1:1"),
    ] {
        let reply = other.json("POST", "/act", &press).await;
        assert_eq!(reply.status, 403, "{other:?}");
    }
    for other in [page.clone().header("host", "evil.example"), page.clone().header("sec-fetch-site", "cross-site")] {
        for path in ["/", "/state", "/panels", "/page.js"] {
            assert_eq!(other.get(path).await.status, 403, "{other:?}");
        }
    }
    assert_eq!(sandbox.snapshot()["stripe"]["customers"], json!([]));
    good.json("POST", "/act", &press).await.ok();
    assert_eq!(sandbox.snapshot()["stripe"]["customers"][0]["name"], "Eve");
    assert_eq!(page.get("/nothing").await.status, 404);
    assert_eq!(page.send("DELETE", "/state", "").await.unwrap().status, 405);
    assert_eq!(page.send("GET", "/act", "").await.unwrap().status, 404);
    let large = good.json("POST", "/act", &json!({"service": "stripe", "act": "x".repeat(20_000)})).await;
    assert_eq!(large.status, 400);
}

#[tokio::test]
async fn no_address_that_others_reach() {
    let options = Options { page: Some(SocketAddr::from(([0, 0, 0, 0], 0))), ..Options::default() };
    assert!(matches!(Sandbox::start(options).await, Err(SandboxError::PageForAll(_))));
    assert_eq!(Sandbox::start(Options::default()).await.unwrap().page_url(), None);
}
