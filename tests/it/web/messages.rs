//! Slack, Discord, ntfy: what goes over the wire, and what becomes of each way to say no.

use serde_json::json;

use super::{doing, error, run_of};
use crate::support::daemon::STRIPE_KEY;
use crate::support::eventually;
use crate::support::program::{flowc, flowd, project};
use crate::support::recorder::{Recorder, raw};

const SLACK: &str =
    "slack.post_message(channel: \"#vip\", text: \"*{body.name else \"\"}* <!here> & co: {body.amount else \"\"}\")";

/// A webhook whose address is a secret: what is planted in it must not show up anywhere.
fn slack_webhook(service: &Recorder) -> String {
    format!("{}/services/T0/B0/{STRIPE_KEY}", service.url)
}

const WEBHOOK: &str = "[connections.slack]\nwebhook_url = { file = \"secrets/slack\" }\n";

fn bot(service: &Recorder) -> String {
    format!("[connections.slack]\ntoken = {{ env = \"TEST_STRIPE_KEY\" }}\nbase_url = \"{}\"\n", service.url)
}

#[test]
fn a_slack_webhook_gets_the_text_and_no_value_in_it_is_markup() {
    let slack = Recorder::start_raw(|_, _| Some(raw(200, &[("content-type", "text/html")], "ok")));
    let daemon = doing(SLACK, WEBHOOK, &[("secrets/slack", &slack_webhook(&slack))]);
    let run = run_of(&daemon, &json!({ "name": "<!channel> & <@U1>", "amount": 5 }));
    assert_eq!(run["status"], "done", "{run:#}");
    let arrived = slack.arrived();
    assert_eq!(arrived[0].line(), format!("POST /services/T0/B0/{STRIPE_KEY}"));
    assert_eq!(arrived[0].header("authorization"), None);
    // The webhook decides the channel; what the flow itself writes is Slack's markup.
    assert_eq!(arrived[0].json(), json!({ "text": "*&lt;!channel&gt; &amp; &lt;@U1&gt;* <!here> & co: 5" }));
}

#[test]
fn what_a_slack_webhook_refuses_is_told_in_its_own_word() {
    let slack = Recorder::start_raw(|_, _| None);
    let daemon = doing(SLACK, WEBHOOK, &[("secrets/slack", &slack_webhook(&slack))]);
    for (at, (status, word)) in
        [(400, "invalid_payload"), (403, "action_prohibited"), (404, "no_service"), (410, "channel_is_archived")]
            .into_iter()
            .enumerate()
    {
        slack.answer_raw(move |_, _| Some(raw(status, &[], word)));
        let run = run_of(&daemon, &json!({ "name": "x" }));
        assert_eq!(run["status"], "dead", "{run:#}");
        assert_eq!(error(&run), format!("{status}: {word}"));
        assert_eq!(slack.arrived().len(), at + 1, "a refusal is not tried again");
    }
}

#[test]
fn a_slack_bot_posts_to_a_channel_and_learns_the_message() {
    let slack = Recorder::start(|_, _| Some((200, json!({ "ok": true, "channel": "C1", "ts": "1.2" }))));
    let steps = format!("{SLACK} as posted\nslack.post_message(channel: \"#vip\", text: \"more\", thread_ts: require posted.ts)");
    let daemon = doing(&steps, &bot(&slack), &[]);
    assert_eq!(run_of(&daemon, &json!({ "name": "Ann" }))["status"], "done");
    let arrived = slack.arrived();
    assert_eq!(arrived[0].line(), "POST /api/chat.postMessage");
    assert_eq!(arrived[0].header("authorization"), Some(format!("Bearer {STRIPE_KEY}").as_str()));
    assert_eq!(arrived[0].json()["channel"], "#vip");
    assert_eq!(arrived[1].json(), json!({ "channel": "#vip", "text": "more", "thread_ts": "1.2" }));
}

/// What takes the place of a missing value is said, wherever it stands, and is the flow's own word.
#[test]
fn a_default_in_a_text_whose_values_are_no_markup_is_said() {
    let slack = Recorder::start(|_, _| Some((200, json!({ "ok": true, "channel": "C1", "ts": "1.2" }))));
    let flow = "let name = body.name\n    slack.post_message(channel: \"#vip\", text: \"{name else \"<!here> nobody\"}: {body.amount else 0}\")\n    \
                slack.post_message(channel: \"#vip\", text: body.name else \"<!here> nobody\")";
    let daemon = doing(flow, &bot(&slack), &[]);
    assert_eq!(run_of(&daemon, &json!({}))["status"], "done");
    assert_eq!(run_of(&daemon, &json!({ "name": "<b>", "amount": 1.50 }))["status"], "done");
    let texts: Vec<_> = slack.arrived().iter().map(|request| request.json()["text"].clone()).collect();
    assert_eq!(texts, ["<!here> nobody: 0", "<!here> nobody", "&lt;b&gt;: 1.5", "&lt;b&gt;"]);
}

#[test]
fn an_ok_that_is_false_is_a_refusal() {
    let slack = Recorder::start(|_, _| Some((200, json!({ "ok": false, "error": "channel_not_found" }))));
    let daemon = doing(SLACK, &bot(&slack), &[]);
    let run = run_of(&daemon, &json!({ "name": "x" }));
    assert_eq!((run["status"].as_str(), error(&run).as_str()), (Some("dead"), "200: channel_not_found"));
}

#[test]
fn a_revoked_token_breaks_the_connection_and_the_run_waits() {
    let slack = Recorder::start(|_, _| Some((200, json!({ "ok": false, "error": "token_revoked" }))));
    let daemon = doing(SLACK, &bot(&slack), &[]);
    super::send(&daemon, &json!({ "name": "x" }));
    let run = eventually("the run is parked", || daemon.runs().into_iter().find(|run| run["status"] == "parked"));
    let run = daemon.get(&format!("runs/{}", run["id"].as_str().unwrap()));
    assert!(error(&run).contains("token_revoked"), "{run:#}");
}

#[test]
fn a_bot_without_a_channel_and_a_connection_without_either_send_nothing() {
    let slack = Recorder::start(|_, _| Some((200, json!({ "ok": true }))));
    let daemon = doing("slack.post_message(text: \"hello\")", &bot(&slack), &[]);
    let run = run_of(&daemon, &json!({}));
    assert!(error(&run).contains("a bot is told the `channel`"), "{run:#}");
    assert_eq!(slack.arrived().len(), 0);

    let neither = super::toml(&format!("[connections.slack]\nbase_url = \"{}\"\n", slack.url));
    let folder = project(&[("flow.toml", &neither), ("main.flow", "every 5 minutes do slack.post_message(text: \"x\")\n")]);
    let outcome = flowd(folder.path(), &["check-config"]);
    assert!(outcome.code != 0 && format!("{outcome:?}").contains("`webhook_url` and `token`"), "{outcome:?}");
}

/// A page of somebody in between, a redirect, ten megabytes: none of it is Slack's ok.
#[test]
fn what_is_no_answer_of_slack_is_no_success() {
    let page = |body: &str| raw(200, &[("content-type", "text/html")], body);
    let cases: [(Vec<u8>, &str); 4] = [
        (page("<html>Please log in</html>"), "not one of Slack's"),
        (raw(302, &[("location", "https://evil.example/")], ""), "redirects are not followed"),
        (page(&"x".repeat(10 << 20)), "larger than"),
        (page("{\"ok\": tr"), "not one of Slack's"),
    ];
    let slack = Recorder::start_raw(|_, _| None);
    let daemon = doing(SLACK, WEBHOOK, &[("secrets/slack", &slack_webhook(&slack))]);
    for (at, (answer, told)) in cases.into_iter().enumerate() {
        slack.answer_raw(move |_, _| Some(answer.clone()));
        let run = run_of(&daemon, &json!({ "name": "x" }));
        assert_eq!(run["status"], "dead", "{run:#}");
        assert!(error(&run).contains(told), "{}", error(&run));
        assert_eq!(slack.arrived().len(), at + 1);
    }
}

#[test]
fn slack_is_asked_again_when_it_says_so() {
    let slack = Recorder::start_raw(|_, before| {
        Some(if before == 0 { raw(429, &[("retry-after", "1")], "") } else { raw(200, &[], "ok") })
    });
    let daemon = doing(SLACK, WEBHOOK, &[("secrets/slack", &slack_webhook(&slack))]);
    assert_eq!(run_of(&daemon, &json!({ "name": "x" }))["status"], "done");
    assert_eq!(slack.arrived().len(), 2);
}

const DISCORD: &str =
    "discord.post_message(content: \"Order {body.name else \"\"}\") as posted\nstop because \"{posted.message_id}\"";

#[test]
fn discord_waits_for_the_message_and_notifies_nobody() {
    let discord = Recorder::start(|_, _| Some((200, json!({ "id": "m1", "type": 0 }))));
    let url = format!("{}/api/webhooks/1/{STRIPE_KEY}", discord.url);
    let connection = "[connections.discord]\nwebhook_url = { file = \"secrets/discord\" }\n";
    let daemon = doing(DISCORD, connection, &[("secrets/discord", &url)]);
    let run = run_of(&daemon, &json!({ "name": "@everyone" }));
    assert_eq!((run["status"].as_str(), run["reason"].as_str()), (Some("stopped"), Some("m1")), "{run:#}");
    assert_eq!(discord.arrived()[0].line(), format!("POST /api/webhooks/1/{STRIPE_KEY}?wait=true"));
    assert_eq!(discord.arrived()[0].json(), json!({ "content": "Order @everyone", "allowed_mentions": { "parse": [] } }));
}

/// The header counts whole seconds, the body fractions: what is more is kept.
#[test]
fn discord_is_asked_again_after_the_fraction_that_its_body_says() {
    let discord = Recorder::start(|_, before| {
        Some(match before {
            0 => (429, json!({ "message": "You are being rate limited.", "retry_after": 0.35, "global": false })),
            _ => (200, json!({ "id": "m1" })),
        })
    });
    let url = format!("{}/api/webhooks/1/t", discord.url);
    let connection = "[connections.discord]\nwebhook_url = { file = \"secrets/discord\" }\n";
    let daemon = doing(DISCORD, connection, &[("secrets/discord", &url)]);
    let run = run_of(&daemon, &json!({ "name": "x" }));
    assert_eq!(run["reason"], "m1", "{run:#}");
    let attempts = run["steps"][0]["attempts"].as_array().unwrap();
    let at = |at: usize| attempts[at]["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(at(1).duration_since(at(0)).as_millis() >= 350, "{attempts:#?}");
}

#[test]
fn a_text_that_is_too_long_or_empty_is_not_sent() {
    let discord = Recorder::start(|_, _| Some((200, json!({ "id": "m1" }))));
    let url = format!("{}/api/webhooks/1/t", discord.url);
    let connection = "[connections.discord]\nwebhook_url = { file = \"secrets/discord\" }\n";
    let daemon = doing("discord.post_message(content: \"{body.text else \"\"}\")", connection, &[("secrets/discord", &url)]);
    for (text, found) in [("é".repeat(2001), "2001 characters"), (String::new(), "0 characters")] {
        let run = run_of(&daemon, &json!({ "text": text }));
        assert_eq!(run["status"], "dead");
        assert_eq!(error(&run), format!("`content` has {found}, and the service takes 1 to 2000"));
    }
    assert_eq!(discord.arrived().len(), 0);
}

#[test]
fn ntfy_gets_json_at_the_root_of_the_server() {
    let ntfy = Recorder::start(|_, _| {
        Some((200, json!({ "id": "n1", "time": 1_790_000_000, "expires": 1_790_043_200, "event": "message", "topic": "ops" })))
    });
    let steps = "ntfy.publish(topic: \"ops\", message: \"Paid: {body.text else \"\"}\", title: \"Zahlung\", priority: 5, tags: [\"warning\"], click: \"https://example.com/\", delay: 10 minutes) as sent\nstop because \"{sent.id} {sent.at}\"";
    let connection = format!("[connections.ntfy]\ntoken = {{ env = \"TEST_STRIPE_KEY\" }}\nbase_url = \"{}\"\n", ntfy.url);
    let daemon = doing(steps, &connection, &[]);
    let run = run_of(&daemon, &json!({ "text": "ü" }));
    assert!(run["reason"].as_str().unwrap_or_default().starts_with("n1 2026-09-21"), "{run:#}");
    let arrived = ntfy.arrived();
    assert_eq!(arrived[0].line(), "POST /");
    assert_eq!(arrived[0].header("authorization"), Some(format!("Bearer {STRIPE_KEY}").as_str()));
    let mut body = arrived[0].json();
    let delay: i64 = body["delay"].as_str().unwrap().parse().unwrap();
    assert!((590..=610).contains(&(delay - jiff::Timestamp::now().as_second())), "{delay}");
    body.as_object_mut().unwrap().remove("delay");
    let expected = json!({ "topic": "ops", "message": "Paid: ü", "title": "Zahlung", "priority": 5, "tags": ["warning"], "click": "https://example.com/" });
    assert_eq!(body, expected);
}

#[test]
fn ntfy_without_a_token_asks_without_one_and_tells_why_it_is_refused() {
    let refusal =
        json!({ "code": 40_009, "http": 400, "error": "invalid request: topic invalid", "link": "https://ntfy.sh/docs" });
    let ntfy = Recorder::start(move |_, _| Some((400, refusal.clone())));
    let connection = format!("[connections.ntfy]\nbase_url = \"{}\"\n", ntfy.url);
    let daemon = doing("ntfy.publish(topic: \"ops\", message: \"x\")", &connection, &[]);
    let run = run_of(&daemon, &json!({}));
    assert_eq!(error(&run), "400: invalid request: topic invalid");
    assert_eq!(ntfy.arrived()[0].header("authorization"), None);
}

/// What is known before it runs is an error before it runs.
#[test]
fn texts_and_numbers_that_no_service_takes_do_not_compile() {
    for (step, told) in [
        (format!("discord.post_message(content: \"{}\")", "x".repeat(2001)), "2001 characters, and the most is 2000"),
        (format!("discord.post_message(content: \"{{id}}{}\")", "x".repeat(2001)), "at least 2001 characters"),
        ("discord.post_message(content: \"\")".to_owned(), "0 characters, and the least is 1"),
        ("discord.post_message(username: \"x\")".to_owned(), "`content`"),
        ("ntfy.publish(topic: \"a\", message: \"x\", priority: 6)".to_owned(), "a number from 1 to 5"),
        ("slack.post_message(channel: \"#x\", text: \"{customer_email}\")".to_owned(), "can be missing"),
    ] {
        let flow = format!("when stripe.charge_failed\ndo {step}\n");
        let folder = project(&[("main.flow", &flow)]);
        let outcome = flowc(folder.path(), &["check"]);
        assert_eq!(outcome.code, 1, "{step}");
        assert!(outcome.err.contains(told) || outcome.out.contains(told), "`{told}` is not in\n{outcome:?}");
    }
}
