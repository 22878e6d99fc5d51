//! Feeds: RSS and Atom documents that are asked for now and then.
//!
//! What tells one item from another is what it says of itself. What was there at the first look is old; what is seen is
//! remembered: all that the document has, and as many of those that it had before that no item comes again that was left out for
//! a while.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flow_plan::Value;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tokio::sync::watch;
use url::Url;

use super::{Deaf, Ear, Options, Spec, asks, digest, event, unless_changed};
use crate::answer::retry_after;
use crate::connection::{Purpose, Target};
use crate::event::Incoming;
use crate::turns::turn;
use crate::world::{HttpAnswer, HttpRequest, Reach};

mod date;
mod entity;
mod read;

use read::{Document, Item};

/// A document is not larger.
const MAX_DOCUMENT: usize = 8 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(60);
/// Without a word of flow.toml or the flow.
const EVERY: Duration = Duration::from_secs(15 * 60);
const SHORTEST: Duration = Duration::from_secs(1);
/// Whatever a document asks for, it is looked at so often.
const LONGEST: Duration = Duration::from_hours(24);
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// So many items that the document no longer has are remembered.
const MOST_GONE: usize = 1000;
/// Events that are committed at a time.
const BATCH: usize = 100;
/// Whoever leads further on leads nowhere.
const MOST_HOPS: usize = 5;

/// What is remembered of a feed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// It was read before.
    begun: bool,
    /// Where it has moved to.
    moved: Option<String>,
    etag: Option<String>,
    modified: Option<String>,
    /// Identities and contents of the items seen, the newest first.
    seen: Vec<(String, String)>,
    /// It is gone for good.
    gone: bool,
}

/// Asks for as long as live flows name the feed.
pub(super) async fn run(mut ear: Ear, mut specs: watch::Receiver<Arc<Spec>>, place: usize, of: usize) {
    let mut memory: Memory = ear.remembered().unwrap_or_default();
    let mut failures = 0;
    let mut tries = Tries::default();
    let first = turn(place, of, {
        let spec = specs.borrow();
        every(&spec, spec.only().1)
    });
    if !first.is_zero() {
        let begins_at = crate::poll::later(ear.world.clock.now(), first);
        ear.next_at(begins_at);
        ear.world.clock.sleep_until(begins_at).await;
    }
    loop {
        let spec = Arc::clone(&specs.borrow_and_update());
        let (address, options) = spec.only();
        let every = every(&spec, options);
        let wait = if memory.gone {
            ear.failed(
                &format!("the feed {address} is gone for good (410): take it out of the flow, or give its new address"),
                true,
            );
            None
        } else {
            match look(&mut ear, &spec, address, options, &mut memory, &mut tries).await {
                Ok(Looked { at_least }) => {
                    ear.succeeded();
                    failures = 0;
                    Some(every.max(at_least.min(LONGEST)))
                }
                Err(Failure::Stopping) => return,
                Err(Failure::Gone) => continue,
                Err(Failure::Said { error, wait }) => {
                    ear.failed(&error, false);
                    // Should the address that it has moved to be wrong, the one of the flow may know another; and the other way round.
                    tries.as_written = memory.moved.is_some() && !tries.as_written;
                    let pause = FIRST_PAUSE.min(every).saturating_mul(1 << failures.min(10)).min(every.max(FIRST_PAUSE));
                    failures += 1;
                    Some(pause.mul_f64(0.5 + ear.world.random.fraction() / 2.0).max(wait.unwrap_or_default()).max(SHORTEST))
                }
            }
        };
        let until = wait.map_or(jiff::Timestamp::MAX, |wait| crate::poll::later(ear.world.clock.now(), wait));
        if wait.is_some() {
            ear.next_at(until);
        }
        let clock = Arc::clone(&ear.world.clock);
        let waited = async {
            match wait {
                Some(_) => clock.sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        if !unless_changed(&mut specs, waited).await {
            return;
        }
    }
}

/// How often a feed is asked for: as often as the flow that asks most often.
fn every(spec: &Spec, options: &[Options]) -> Duration {
    let given = options.iter().filter_map(|options| match options.get("every") {
        Some(Value::Duration(every)) => u64::try_from(every.approximate_millis()).ok().map(Duration::from_millis),
        _ => None,
    });
    let default = spec.connection.poll_every.or(spec.every()).unwrap_or(EVERY);
    given.min().unwrap_or(default).max(SHORTEST)
}

/// What is known from one look to the next.
#[derive(Default)]
struct Tries {
    /// The document that was cut off.
    cut: Option<String>,
    /// The address is asked for that the flow has, and not the one that it has moved to.
    as_written: bool,
}

struct Looked {
    /// The document asks not to be asked for sooner.
    at_least: Duration,
}

enum Failure {
    Stopping,
    Gone,
    Said {
        error: String,
        /// The server asks to wait so long.
        wait: Option<Duration>,
    },
}

fn said(error: impl Into<String>) -> Failure {
    Failure::Said { error: error.into(), wait: None }
}

async fn look(
    ear: &mut Ear,
    spec: &Spec,
    address: &str,
    options: &[Options],
    memory: &mut Memory,
    tries: &mut Tries,
) -> Result<Looked, Failure> {
    let moved = memory.moved.as_deref().filter(|_| !tries.as_written);
    let asked = parse(moved.unwrap_or(address))?;
    let Fetched { at, answer, for_good } = fetch(ear, spec, asked.clone(), memory, !tries.as_written).await?;
    let at_least = max_age(&answer);
    match answer.status {
        200 => {}
        304 if memory.begun => return Ok(Looked { at_least }),
        // The one that it has left says nothing of where it is.
        410 if !tries.as_written => {
            *memory = Memory { gone: true, ..Memory::default() };
            return match ear.take_in(Vec::new(), memory).await {
                Ok(()) => Err(Failure::Gone),
                Err(deaf) => Err(deaf.into()),
            };
        }
        status => {
            let error = format!("{} answers {status}", shown(&at));
            return Err(Failure::Said { error, wait: retry_after(&answer) });
        }
    }
    let (etag, modified) = (header(&answer, "etag"), header(&answer, "last-modified"));
    let (body, content_type) = (answer.body.clone(), header(&answer, "content-type"));
    // A large document takes a moment.
    let read = tokio::task::spawn_blocking(move || read::document(&body, content_type.as_deref())).await;
    let document =
        read.map_err(|_| said("the document cannot be read"))?.map_err(|error| said(format!("{}: {error}", shown(&at))))?;
    let at_least = at_least.max(Duration::from_secs(60 * document.ttl_minutes));
    let is_cut = document.is_cut;
    tries.cut = match is_whole(&document, tries.cut.take().as_ref()) {
        Ok(known) => known,
        Err((mark, error)) => {
            tries.cut = Some(mark);
            return Err(said(format!("{}: {error}", shown(&at))));
        }
    };
    if std::mem::take(&mut tries.as_written) {
        memory.moved = None;
    }
    if at != asked && for_good {
        tracing::info!(connection = ear.key.0, source = ear.key.1, to = %shown(&at), "a feed has moved for good");
        memory.moved = Some(at.to_string());
        (memory.etag, memory.modified) = (None, None);
    }
    hand_over(ear, spec, address, &at, asks(options, "updates"), document, memory).await?;
    // These only say what is there already, and are written with what comes next. What another address says counts for that one, and
    // what is cut off may be whole the next time.
    (memory.etag, memory.modified) = if is_cut || at != asked && !for_good { (None, None) } else { (etag, modified) };
    Ok(Looked { at_least })
}

/// A document that is cut off counts when it comes the same once more: then it is how this feed is. Returns what to know it by then.
fn is_whole(document: &Document, known: Option<&String>) -> Result<Option<String>, (String, String)> {
    if !document.is_cut {
        return Ok(None);
    }
    let items: Vec<String> = document.items.iter().map(|item| format!("{}\n{}", item.identity(), item.content_text())).collect();
    let mark = digest(&items.join("\0"));
    if known == Some(&mark) {
        return Ok(Some(mark));
    }
    let error = format!("the document is cut off behind {} items, and asked for once more", items.len());
    Err((mark, error))
}

/// Takes in what is new, oldest first: what stands at the top is the newest.
async fn hand_over(
    ear: &mut Ear,
    spec: &Spec,
    address: &str,
    at: &Url,
    updates: bool,
    document: Document,
    memory: &mut Memory,
) -> Result<(), Failure> {
    let title = document.title.clone();
    let mut present = HashSet::new();
    let mut items: Vec<(String, String, Item)> = Vec::new();
    for item in document.items {
        let (id, content) = (digest(&item.identity()), digest(&item.content_text()));
        if present.insert(id.clone()) {
            items.push((id, content, item));
        }
    }
    let known: std::collections::HashMap<&str, &str> =
        memory.seen.iter().map(|(id, content)| (id.as_str(), content.as_str())).collect();
    let mut new: Vec<(String, String, Incoming)> = Vec::new();
    for (id, content, item) in items.iter().rev() {
        let (updated, happens) = match known.get(id.as_str()) {
            None => (false, true),
            Some(before) => (true, updates && *before != content),
        };
        if happens && memory.begun {
            let fields = fields(item, address, title.as_deref(), at, updated);
            // An item may become again what it was.
            let name = if updated { ear.fresh_id() } else { digest(&format!("{address} {id} ")) };
            new.push((id.clone(), content.clone(), event(name, spec.source(), None, vec![address.to_owned()], fields)));
        }
    }
    let first = !memory.begun;
    if first {
        memory.begun = true;
        tracing::info!(
            connection = ear.key.0,
            source = ear.key.1,
            items = items.len(),
            "a feed is read first: what is there is old"
        );
    }
    let mut batches = new.chunks(BATCH).peekable();
    while let Some(batch) = batches.next() {
        let mut next = memory.clone();
        for (id, content, _) in batch {
            next.seen.retain(|(known, _)| known != id);
            next.seen.insert(0, (id.clone(), content.clone()));
        }
        if batches.peek().is_none() {
            next.seen = seen(&items, &next.seen, &present);
        }
        ear.take_in(batch.iter().map(|(.., event)| event.clone()).collect(), &next).await.map_err(Failure::from)?;
        *memory = next;
    }
    if new.is_empty() {
        let next = seen(&items, &memory.seen, &present);
        if first || next != memory.seen {
            memory.seen = next;
            ear.take_in(Vec::new(), memory).await.map_err(Failure::from)?;
        }
    }
    Ok(())
}

/// What is remembered: all that is there, and the newest of what was there before.
fn seen(items: &[(String, String, Item)], before: &[(String, String)], present: &HashSet<String>) -> Vec<(String, String)> {
    let now = items.iter().map(|(id, content, _)| (id.clone(), content.clone()));
    now.chain(before.iter().filter(|(id, _)| !present.contains(id)).take(MOST_GONE).cloned()).collect()
}

impl From<Deaf> for Failure {
    fn from(deaf: Deaf) -> Self {
        match deaf {
            Deaf::Stopping => Failure::Stopping,
            Deaf::Later(error) => said(error),
        }
    }
}

fn parse(address: &str) -> Result<Url, Failure> {
    let url = Url::parse(address).map_err(|_| said(format!("`{address}` is no address")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(said(format!("`{address}` begins with neither http:// nor https://")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(said("the address of a feed holds no password: whoever reads the flow would know it"));
    }
    Ok(url)
}

/// What was answered, and where.
struct Fetched {
    at: Url,
    answer: HttpAnswer,
    /// Whoever led there said that it is for good.
    for_good: bool,
}

/// Asks for a document, and follows where it has moved to.
async fn fetch(ear: &Ear, spec: &Spec, at: Url, memory: &Memory, conditional: bool) -> Result<Fetched, Failure> {
    let answer = ask(ear, spec, &at, memory, conditional).await?;
    let mut fetched = Fetched { at, answer, for_good: true };
    for _ in 0..=MOST_HOPS {
        let Fetched { at, answer, for_good } = fetched;
        if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
            return Ok(Fetched { at, answer, for_good });
        }
        let to = answer.header("location").and_then(|to| at.join(to).ok());
        let to = to.ok_or_else(|| said(format!("{} leads elsewhere and does not say where", shown(&at))))?;
        let to = parse(to.as_str())?;
        if at.scheme() == "https" && to.scheme() == "http" {
            return Err(said(format!("{} leads to an address without TLS", shown(&at))));
        }
        let for_good = for_good && matches!(answer.status, 301 | 308);
        // What was said of the one address says nothing of the other.
        let answer = ask(ear, spec, &to, memory, false).await?;
        fetched = Fetched { at: to, answer, for_good };
    }
    Err(said(format!("{} leads on and on", shown(&fetched.at))))
}

async fn ask(ear: &Ear, spec: &Spec, at: &Url, memory: &Memory, conditional: bool) -> Result<HttpAnswer, Failure> {
    let mut headers = vec![(
        "accept".to_owned(),
        "application/atom+xml, application/rss+xml, application/rdf+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"
            .to_owned(),
    )];
    if conditional && memory.begun {
        headers.extend(memory.etag.iter().map(|etag| ("if-none-match".to_owned(), etag.clone())));
        headers.extend(memory.modified.iter().map(|modified| ("if-modified-since".to_owned(), modified.clone())));
    }
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: at.to_string(),
        headers,
        body: Bytes::new(),
        reach: Reach::Internet,
        guard: None,
        channel: None,
    };
    let pass = ear.engine.pass(&Target::service(&spec.connection.plan.name), Purpose::Page).await;
    let pass = pass.map_err(|held| Failure::Said { error: held.reason, wait: Some(held.wait) })?;
    let sent = ear.world.transport.send(request, TIMEOUT, MAX_DOCUMENT).await;
    // One server that is away says nothing of the others.
    drop(pass);
    sent.map_err(|error| said(format!("{}: {error}", shown(at))))
}

/// An address for people: without its parameters, which may hold a key.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn header(answer: &HttpAnswer, name: &str) -> Option<String> {
    answer.header(name).map(str::trim).filter(|value| !value.is_empty() && value.len() <= 1000).map(str::to_owned)
}

/// How long the answer stays good, as it says.
fn max_age(answer: &HttpAnswer) -> Duration {
    let control = answer.header("cache-control").unwrap_or_default();
    let seconds = control.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(LONGEST)
}

fn fields(item: &Item, address: &str, feed_title: Option<&str>, at: &Url, updated: bool) -> Map<String, Json> {
    let link = item.link.as_ref().map(|link| at.join(link).map_or_else(|_| link.clone(), |url| url.to_string()));
    let published = item.published.as_deref().and_then(date::parse).map(|at| at.to_string());
    let value = json!({
        "guid": item.identity(),
        "title": item.title,
        "link": link,
        "published_at": published,
        "author": item.author,
        "summary": item.summary,
        "content": item.content,
        "categories": item.categories,
        "feed_title": feed_title.unwrap_or_default(),
        "feed_url": address,
        "updated": updated,
    });
    match value {
        Json::Object(fields) => fields,
        _ => Map::new(),
    }
}
