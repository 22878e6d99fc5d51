//! Services allow as much as the real ones do, unless they are told otherwise.

use std::time::Duration;

use flow_sandbox::{Options, Rate, Sandbox};

use crate::client::{Client, Reply};
use crate::{Clock, kustomer, secret, stripe};

/// A sandbox whose clock stands still until it is moved, and whose services allow as much as the real ones.
async fn usual() -> (Sandbox, Clock) {
    let clock = Clock::new();
    let options = Options { rates: Options::default().rates, ..clock.options() };
    (Sandbox::start(options).await.unwrap(), clock)
}

/// How many of so many requests are let in, and the answer to the last of them.
async fn let_in(client: &Client, path: &str, requests: usize) -> (usize, Reply) {
    let mut answered = Vec::new();
    for _ in 0..requests {
        answered.push(client.get(path).await);
    }
    let ok = answered.iter().filter(|reply| reply.status != 429).count();
    (ok, answered.pop().unwrap())
}

#[tokio::test]
async fn stripe_allows_25_requests_a_second() {
    let (sandbox, clock) = usual().await;
    let client = stripe(&sandbox);
    let (ok, last) = let_in(&client, "/v1/customers", 40).await;
    assert_eq!(ok, 25);
    assert_eq!(last.error(), (429, "rate_limit".to_owned(), String::new()));
    assert_eq!(last.header("stripe-rate-limited-reason"), "global-rate");
    clock.advance(Duration::from_secs(1));
    assert_eq!(let_in(&client, "/v1/customers", 40).await.0, 25);
}

#[tokio::test]
async fn kustomer_counts_by_the_minute_and_tells_what_is_left() {
    let (sandbox, clock) = usual().await;
    let client = kustomer(&sandbox);
    let (_, last) = let_in(&client, "/v1/auth/tokens/current", 3).await;
    assert_eq!((last.header("x-ratelimit-limit"), last.header("x-ratelimit-remaining")), ("1000", "997"));
    let mut searches = 0;
    let body = serde_json::json!({ "queryContext": "customer", "and": [] });
    while client.json("POST", "/v1/customers/search", &body).await.status == 200 {
        searches += 1;
    }
    assert_eq!(searches, 100);
    clock.advance(Duration::from_secs(60));
    assert_eq!(client.json("POST", "/v1/customers/search", &body).await.status, 200);
}

#[tokio::test]
async fn a_rate_of_ones_own_counts_instead_and_none_lets_all_in() {
    let clock = Clock::new();
    let rates = [("kustomer".to_owned(), Rate::Of(3)), ("stripe".to_owned(), Rate::Unlimited)].into();
    let sandbox = Sandbox::start(Options { rates, ..clock.options() }).await.unwrap();
    let (ok, last) = let_in(&kustomer(&sandbox), "/v1/auth/tokens/current", 5).await;
    assert_eq!((ok, last.status, last.header("x-ratelimit-remaining")), (3, 429, "0"));
    assert_eq!(last.header("x-ratelimit-reset"), "1795000020");
    assert_eq!(let_in(&stripe(&sandbox), "/v1/customers", 40).await.0, 40);
}

#[tokio::test]
async fn customerio_allows_10_reads_a_second_in_its_own_form() {
    let (sandbox, _clock) = usual().await;
    let client = Client::new(&sandbox.base_url("customerio").unwrap())
        .header("authorization", &format!("Bearer {}", secret("customerio", "app_key")));
    let (ok, last) = let_in(&client, "/v1/customers?email=a@example.com", 12).await;
    assert_eq!(ok, 10);
    assert_eq!(last.json()["errors"][0]["detail"], "too many requests");
}
