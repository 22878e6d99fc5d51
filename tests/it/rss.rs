//! `rss.new_item` over real HTTP, from a server that says what the test wants.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::support::daemon::Daemon;
use crate::support::eventually;

/// An answer: status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, String);
/// What was asked: path and lines of the head.
type Asked = (String, Vec<String>);
type Behaviour = Arc<Mutex<Box<dyn Fn(&str, &[String]) -> Answer + Send>>>;

/// A server of feeds.
struct Feeds {
    port: u16,
    behaviour: Behaviour,
    /// The requests: path and lines of the head.
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Feeds {
    fn start(behaviour: impl Fn(&str, &[String]) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let behaviour: Behaviour = Arc::new(Mutex::new(Box::new(behaviour)));
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (does, log) = (Arc::clone(&behaviour), Arc::clone(&asked));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (does, log) = (Arc::clone(&does), Arc::clone(&log));
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                    let first = lines.next().unwrap_or_default();
                    let head: Vec<String> =
                        lines.take_while(|line| !line.is_empty()).map(|line| line.to_ascii_lowercase()).collect();
                    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                    let (status, headers, body) = (does.lock().unwrap())(&path, &head);
                    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                    let length = body.len();
                    // Before it is answered: whoever has heard the answer finds it here.
                    log.lock().unwrap().push((path, head));
                    let _ = write!(
                        stream,
                        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                    );
                });
            }
        });
        Self { port, behaviour, asked }
    }

    fn answer(&self, behaviour: impl Fn(&str, &[String]) -> Answer + Send + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until it was asked so often more, and returns the newest request.
    fn asked(&self, more: usize) -> (String, Vec<String>) {
        let before = self.asked.lock().unwrap().len();
        eventually("the feed is asked for", || {
            let asked = self.asked.lock().unwrap();
            (asked.len() >= before + more).then(|| asked.last().cloned().unwrap())
        })
    }
}

fn rss(items: &[&str]) -> String {
    let items: String = items
        .iter()
        .map(|item| format!("<item><guid>{item}</guid><title>T {item}</title><link>/posts/{item}</link></item>"))
        .collect();
    format!("<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>News</title>{items}</channel></rss>")
}

fn daemon(feeds: &Feeds, path: &str, more: &str) -> Daemon {
    let toml = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[http]\nallow = [\"127.0.0.1\"]\n[connections.rss]\npoll = \"1s\"\n[connections.log]\n";
    let flow = format!(
        "flow news\n  when rss.new_item(url: \"{}\"{more})\n  do log(\"item {{title else \"?\"}} {{link else \"?\"}} {{updated}}\")\n",
        feeds.url(path)
    );
    Daemon::start(&[("flow.toml", toml), ("main.flow", &flow)])
}

fn lines(daemon: &Daemon) -> Vec<String> {
    let log = daemon.log();
    let found = log.lines().filter_map(|line| Some(line.split_once("INFO item ")?.1.split(" flow=").next()?.to_owned()));
    // Runs are performed side by side.
    let mut lines: Vec<String> = found.collect();
    lines.sort();
    lines
}

fn has_lines(daemon: &Daemon, wanted: &[String]) {
    eventually(&format!("{wanted:?}"), || (lines(daemon) == wanted).then_some(()));
}

fn item(feeds: &Feeds, name: &str) -> String {
    format!("T {name} {} false", feeds.url(&format!("/posts/{name}")))
}

#[test]
fn what_is_new_starts_its_flow_once_oldest_first_also_after_a_kill() {
    let feeds = Feeds::start(|_, _| (200, Vec::new(), rss(&["b", "a"])));
    let mut daemon = daemon(&feeds, "/feed", "");
    feeds.asked(2);
    feeds.answer(|_, _| (200, Vec::new(), rss(&["d", "c", "b", "a"])));
    let wanted = vec![item(&feeds, "c"), item(&feeds, "d")];
    has_lines(&daemon, &wanted);
    // What is left out for a while is not new when it comes again.
    feeds.answer(|_, _| (200, Vec::new(), rss(&["d"])));
    feeds.asked(2);
    feeds.answer(|_, _| (200, Vec::new(), rss(&["a", "b", "c", "d"])));
    feeds.asked(2);
    daemon.settled(2);
    daemon.kill();
    feeds.answer(|_, _| (200, Vec::new(), rss(&["e", "d", "c", "b", "a"])));
    daemon.launch();
    has_lines(&daemon, &[wanted, vec![item(&feeds, "e")]].concat());
    feeds.asked(2);
    assert_eq!(lines(&daemon).len(), 3);
}

#[test]
fn a_feed_without_news_is_asked_with_what_it_said_and_a_change_is_news_only_where_that_is_asked_for() {
    let tagged = |items: &'static [&'static str]| {
        move |_: &str, head: &[String]| -> Answer {
            let known = head.iter().any(|line| line == "if-none-match: \"v1\"")
                && head.iter().any(|line| line.starts_with("if-modified-since: sat"));
            let headers = vec![("ETag", "\"v1\"".to_owned()), ("Last-Modified", "Sat, 07 Sep 2002 00:00:01 GMT".to_owned())];
            if known { (304, headers, String::new()) } else { (200, headers, rss(items)) }
        }
    };
    let feeds = Feeds::start(tagged(&["a"]));
    let daemon = daemon(&feeds, "/feed", ", updates: true");
    eventually("it is asked with what it said", || {
        let (_, head) = feeds.asked(1);
        head.iter().any(|line| line == "if-none-match: \"v1\"").then_some(())
    });
    feeds.answer(|_, _| (200, Vec::new(), rss(&["a"]).replace("T a", "Other")));
    has_lines(&daemon, &[format!("Other {} true", feeds.url("/posts/a"))]);
}

#[test]
fn a_feed_that_moves_is_followed_once_and_one_that_is_gone_ends() {
    let feeds = Feeds::start(|_, _| (200, Vec::new(), rss(&["a"])));
    let mut daemon = daemon(&feeds, "/old", "");
    feeds.asked(2);
    feeds.answer(|path, _| match path {
        "/old" => (301, vec![("Location", "/new".to_owned())], String::new()),
        _ => (200, Vec::new(), rss(&["b", "a"])),
    });
    has_lines(&daemon, &[item(&feeds, "b")]);
    daemon.settled(1);
    // From now on at its new address, also after a restart.
    daemon.kill();
    feeds.answer(|path, _| match path {
        "/old" => (500, Vec::new(), String::new()),
        _ => (200, Vec::new(), rss(&["c", "b", "a"])),
    });
    daemon.launch();
    has_lines(&daemon, &[item(&feeds, "b"), item(&feeds, "c")]);
    // One that does not answer for a while is tried in turn with the one of the flow.
    feeds.answer(|_, _| (500, Vec::new(), String::new()));
    feeds.asked(1);
    feeds.answer(|path, _| match path {
        "/old" => (500, Vec::new(), String::new()),
        _ => (200, Vec::new(), rss(&["d", "c", "b", "a"])),
    });
    has_lines(&daemon, &["b", "c", "d"].map(|name| item(&feeds, name)));
    // Nowhere else, and not into what is private.
    feeds.answer(|_, _| (302, vec![("Location", "http://10.0.0.1/feed".to_owned())], String::new()));
    eventually("it is refused", || daemon.log().contains("not on the internet").then_some(()));
    daemon.terminate();
    feeds.answer(|_, _| (410, Vec::new(), String::new()));
    daemon.launch();
    eventually("it is gone", || daemon.log().contains("gone for good").then_some(()));
    let before = feeds.asked.lock().unwrap().len();
    daemon.terminate();
    daemon.launch();
    eventually("it still is", || (daemon.log().matches("gone for good").count() >= 2).then_some(()));
    assert_eq!(feeds.asked.lock().unwrap().len(), before, "nobody asks for it any more");
}

#[test]
fn what_answers_is_no_feed_too_large_or_private() {
    let feeds = Feeds::start(|_, _| (200, Vec::new(), "<html><body>Sign in</body></html>".to_owned()));
    let daemon = daemon(&feeds, "/feed?key=not-to-be-shown", "");
    eventually("no feed", || daemon.log().contains("it is no feed").then_some(()));
    assert!(!daemon.log().contains("not-to-be-shown"), "{}", daemon.log());
    drop(daemon);
    let toml = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.rss]\npoll = \"1s\"\n";
    let flow = format!("when rss.new_item(url: \"{}\") do log(\"x\")\n", feeds.url("/feed"));
    let asked = feeds.asked.lock().unwrap().len();
    let daemon = Daemon::start(&[("flow.toml", toml), ("main.flow", &flow)]);
    eventually("private", || daemon.log().contains("not on the internet").then_some(()));
    assert_eq!(feeds.asked.lock().unwrap().len(), asked, "nothing was asked");
}

/// All runs of it: whoever is told twice is told twice.
fn titles(daemon: &Daemon) -> Vec<String> {
    lines(daemon).iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

fn has_titles(daemon: &Daemon, wanted: &[&str]) {
    eventually(&format!("{wanted:?}"), || (titles(daemon) == wanted).then_some(()));
}

#[test]
fn a_document_that_is_cut_off_loses_nothing_and_makes_nothing_old_or_new() {
    let cut = |items: &[&str]| {
        let text = rss(items);
        // In the middle of its last item.
        text[..text.rfind("<link>").unwrap()].to_owned()
    };
    let first = cut(&["b", "a"]);
    let turn = std::sync::atomic::AtomicU32::new(0);
    let tagged = || vec![("ETag", "\"v1\"".to_owned())];
    let feeds = Feeds::start(move |_, head| {
        // What is cut off has the tag of the whole.
        if head.iter().any(|line| line == "if-none-match: \"v1\"") {
            return (304, Vec::new(), String::new());
        }
        match turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => (200, tagged(), first.clone()),
            _ => (200, tagged(), rss(&["b", "a"])),
        }
    });
    let daemon = daemon(&feeds, "/feed", "");
    eventually("it is said", || daemon.log().contains("the document is cut off behind 1 item").then_some(()));
    eventually("it is read", || daemon.log().contains("a feed is read first").then_some(()));
    feeds.answer(move |_, _| (200, vec![("ETag", "\"v2\"".to_owned())], cut(&["d", "c", "b", "a"])));
    // The same twice is how this feed is: what is whole of it counts.
    has_titles(&daemon, &["T c", "T d"]);
    let (_, head) = feeds.asked(1);
    assert!(!head.iter().any(|line| line.contains("v2")), "it is asked for as a whole: {head:?}");
    feeds.answer(|_, _| (200, Vec::new(), rss(&["e", "d", "c", "b", "a"])));
    has_titles(&daemon, &["T c", "T d", "T e"]);
    feeds.asked(2);
    assert_eq!(titles(&daemon).len(), 3, "what was cut off was known");
}

#[test]
fn whoever_is_led_on_arrives_and_whoever_is_led_round_does_not() {
    let chain = |path: &str, last: String| -> Answer {
        let to = |status, to: &str| (status, vec![("Location", to.to_owned())], String::new());
        match path {
            "/feed" => to(302, "/a"),
            "/a" => to(301, "/b"),
            "/b" => to(307, "c?x=1"),
            "/c?x=1" => (200, vec![("ETag", "\"of-c\"".to_owned())], last),
            "/round" => to(302, "/round"),
            _ => (404, Vec::new(), String::new()),
        }
    };
    let feeds = Feeds::start(move |path, _| chain(path, rss(&["a"])));
    let daemon = daemon(&feeds, "/feed", "");
    eventually("it is read", || daemon.log().contains("a feed is read first").then_some(()));
    feeds.answer(move |path, head| {
        assert!(!head.iter().any(|line| line.contains("of-c")), "what one address says is no other's");
        chain(path, rss(&["b", "a"]))
    });
    has_titles(&daemon, &["T b"]);
    feeds.answer(move |path, _| if path == "/feed" { chain("/round", String::new()) } else { chain(path, String::new()) });
    eventually("it says so", || daemon.log().contains("leads on and on").then_some(()));
    // For good to what is no feed: the flow's own address is asked again.
    feeds.answer(move |path, _| match path {
        "/feed" => (301, vec![("Location", "/home".to_owned())], String::new()),
        _ => (200, Vec::new(), "<html><body>Welcome</body></html>".to_owned()),
    });
    eventually("home is asked for", || (feeds.asked(1).0 == "/home").then_some(()));
    feeds.answer(move |_, _| (200, Vec::new(), rss(&["c", "b", "a"])));
    has_titles(&daemon, &["T b", "T c"]);
    assert_eq!(feeds.asked(1).0, "/feed");
}

#[test]
fn items_that_say_little_are_told_apart_and_one_that_changes_to_and_fro_changes_each_time() {
    let whole = |items: &str| format!("<rss version=\"2.0\"><channel><title>N</title>{items}</channel></rss>");
    let bare = |text: &str| format!("<item><description>{text}</description></item>");
    let named = |title: &str| format!("<item><guid>same</guid><title>{title} x</title></item>");
    let (first, second) =
        (whole(&(bare("one") + &named("A"))), whole(&(bare("three") + &bare("two") + &bare("one") + &named("B"))));
    let feeds = Feeds::start(move |_, _| (200, Vec::new(), first.clone()));
    let daemon = daemon(&feeds, "/feed", ", updates: true");
    eventually("it is read", || daemon.log().contains("a feed is read first").then_some(()));
    feeds.answer(move |_, _| (200, Vec::new(), second.clone()));
    has_titles(&daemon, &["? ?", "? ?", "B x"]);
    for (title, wanted) in [
        ("A", &["? ?", "? ?", "A x", "B x"][..]),
        ("B", &["? ?", "? ?", "A x", "B x", "B x"]),
        ("A", &["? ?", "? ?", "A x", "A x", "B x", "B x"]),
    ] {
        let body = whole(&(bare("three") + &bare("two") + &bare("one") + &named(title)));
        feeds.answer(move |_, _| (200, Vec::new(), body.clone()));
        has_titles(&daemon, wanted);
    }
}

#[test]
fn five_hundred_items_at_the_start_are_old_in_any_order_and_what_answers_badly_is_said() {
    let names: Vec<String> = (0..500).map(|number| format!("i{number}")).collect();
    let all = |reversed: bool, more: &[&str]| {
        let mut items: Vec<&str> = names.iter().map(String::as_str).collect();
        if reversed {
            items.reverse();
        }
        items.splice(250..250, more.iter().copied());
        rss(&items)
    };
    let body = all(false, &[]);
    let feeds = Feeds::start(move |_, _| (200, Vec::new(), body.clone()));
    let daemon = daemon(&feeds, "/feed", "");
    eventually("it is read", || daemon.log().contains("a feed is read first").then_some(()));
    let well = all(false, &[]);
    for (body, wanted) in [
        (String::new(), "it is empty"),
        ("<!doctype html><html><head><title>x</title></head></html>".to_owned(), "it is no feed"),
        ("{\"items\":[]}".to_owned(), "it is no"),
        (format!("<rss><channel>{}", "<a>".repeat(1000)), "too deep"),
        ("x".repeat(10 << 20), "larger than"),
    ] {
        feeds.answer(move |_, _| (200, Vec::new(), body.clone()));
        eventually(wanted, || daemon.tell(&["alarms"]).out.contains(wanted).then_some(()));
        // It is asked more rarely the more often that has failed.
        let well = well.clone();
        feeds.answer(move |_, _| (200, Vec::new(), well.clone()));
        eventually("all is well", || daemon.tell(&["alarms"]).out.contains("no alarms").then_some(()));
    }
    // Somewhere in the middle of them all, the other way round.
    let body = all(true, &["new"]);
    feeds.answer(move |_, _| (200, Vec::new(), body.clone()));
    has_titles(&daemon, &["T new"]);
    feeds.asked(2);
    assert_eq!(titles(&daemon), ["T new"]);
}
