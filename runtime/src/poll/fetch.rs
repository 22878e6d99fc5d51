//! All pages of one poll, within a bound of memory.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use flow_plan::{Env, Pages, Poll, Request, Value};
use jiff::Timestamp;
use rust_decimal::prelude::ToPrimitive;
use serde_json::value::RawValue;
use tracing::warn;

use super::Spec;
use super::items::{Item, ItemReader, collapse, sort, text_at};
use crate::answer::{StatusClass, answered_at, classify, error_text_of, retry_after};
use crate::connection::{Heard, Purpose, Target};
use crate::engine::{Engine, Pass, Withheld};
use crate::eval::{Scope, eval};
use crate::event::Alone;
use crate::live::LiveConnection;
use crate::request::{RequestError, build_request};
use crate::scan::PathSet;
use crate::world::{HttpAnswer, TransportError, World};

/// A page is answered within.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_PAGE: usize = 32 * 1024 * 1024;
/// A page that fails in the middle of a poll is asked for so often before the pages that are there are given up.
const TRIES: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A service that asks for more patience is asked again by the next poll.
const MOST_PATIENCE: Duration = Duration::from_secs(5 * 60);
/// What all waits of one poll may take together.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// A list with more pages does not end.
const MAX_PAGES: usize = 20_000;
/// What is kept of one poll; of a longer list the oldest part goes on first, and the rest is asked for again.
pub(super) const KEEP_BYTES: usize = 32 * 1024 * 1024;
/// What an item costs beside its payload.
const ITEM_BYTES: usize = 256;

/// What a poll begins with.
pub(super) struct Start<'a> {
    pub(super) watermark: Option<Timestamp>,
    pub(super) cursor: Option<&'a str>,
    pub(super) keep_bytes: usize,
    /// The poll has made a request already, which told that something is new.
    pub(super) begun: bool,
    /// What there is counts for nothing: only how far it reaches is wanted.
    pub(super) reach_only: bool,
    /// What was an event by what was told alone: it lies between what the list has.
    pub(super) alone: &'a [Alone],
}

/// What a poll found, oldest first.
#[derive(Default)]
pub(super) struct Fetched {
    pub(super) items: Vec<Item>,
    /// The service's next cursor.
    pub(super) cursor: Option<String>,
    /// The service's own time of the first answer.
    pub(super) answered_at: Option<Timestamp>,
    /// When each type is in the list last, in that order: of all types, wanted or not.
    pub(super) newest: Vec<(String, Timestamp)>,
    /// When each was, in the same way: all of them.
    pub(super) acts: Vec<(String, Timestamp)>,
    /// The list was longer than what is kept: nothing beyond this instant is known to be whole.
    pub(super) whole_until: Option<Timestamp>,
}

/// Why a poll failed. Nothing of it counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PollError {
    /// The credentials do not work.
    #[error("{0}")]
    Broken(String),
    /// The service no longer knows the cursor.
    #[error("{0}")]
    CursorLost(String),
    /// Nothing is asked for a while: the service does not answer, or its quota is used up.
    #[error("{reason}")]
    Withheld {
        reason: String,
        /// For so long.
        wait: Duration,
    },
    /// Trying again may help.
    #[error("{error}")]
    Failed {
        error: String,
        /// The service asks to wait so long.
        retry_after: Option<Duration>,
    },
}

impl PollError {
    fn failed(error: impl Into<String>) -> Self {
        Self::Failed { error: error.into(), retry_after: None }
    }
}

impl From<Withheld> for PollError {
    fn from(withheld: Withheld) -> Self {
        Self::Withheld { reason: withheld.reason, wait: withheld.wait }
    }
}

/// Returns what an answer to a question says of its connection. One that says nothing of others, such as an error of this
/// list alone, is none.
pub(crate) fn heard(connection: &LiveConnection, request: &Request, sent: &Result<HttpAnswer, TransportError>) -> Heard {
    let api = connection.plan.api_of(request);
    match sent {
        Err(error @ TransportError::NotConnected(_)) => Heard::Unreached(error.to_string()),
        Err(error @ TransportError::NoAnswer(_)) => Heard::Silence { error: error.to_string(), wait: None },
        Err(TransportError::Later(_)) => Heard::Slower(None),
        Err(error @ TransportError::Broken(_)) => Heard::Refusal { status: None, error: error.to_string() },
        Err(TransportError::Refused(_)) => Heard::Nothing,
        Ok(answer) => match classify(connection, api, answer) {
            StatusClass::Broken => Heard::Refusal { status: Some(answer.status), error: error_text_of(connection, api, answer) },
            StatusClass::NotDone if answer.status == 429 => Heard::Slower(retry_after(answer)),
            StatusClass::Success | StatusClass::Refused => Heard::Works,
            StatusClass::NotDone | StatusClass::Unknown => Heard::Nothing,
        },
    }
}

/// The way to the service, for one poll.
struct Asking<'a> {
    spec: &'a Spec,
    poll: &'a Poll,
    start: &'a Start<'a>,
    engine: &'a Engine,
    world: &'a World,
    /// Pages that would be lost with the poll.
    pages: u32,
    /// It has made a request.
    begun: bool,
    waited: Duration,
}

impl Asking<'_> {
    /// Asks for a page, within the connection's limit. Where pages are there already it is asked for again when it fails,
    /// since they would be asked for again too.
    async fn page(&mut self, query: &[(String, Value)]) -> Result<HttpAnswer, PollError> {
        let mut tries = 0;
        loop {
            let purpose = if self.begun { Purpose::Page } else { Purpose::Watch };
            let target = Target::of_plan(&self.poll.request, &self.spec.connection);
            let pass = self.engine.pass(&target, purpose).await.map_err(PollError::from)?;
            self.begun = true;
            tries += 1;
            let error = match self.ask(query, pass).await {
                Ok(answer) => {
                    self.pages += 1;
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let wait = match &error {
                Ask::Again(_, asked) => self.wait(tries, *asked),
                Ask::Never(_) => None,
            };
            let (Ask::Again(error, _) | Ask::Never(error)) = error;
            let Some(wait) = wait.filter(|_| self.pages > 0) else { return Err(error) };
            if tries == 1 {
                let (connection, source) = (&self.spec.connection.plan.name, &self.spec.source.name);
                warn!(connection, source, %error, "a page of a poll failed; it is asked for again");
            }
            self.waited = self.waited.saturating_add(wait);
            let until = super::task::later(self.world.clock.now(), wait);
            self.world.clock.sleep_until(until).await;
        }
    }

    /// Returns the time until the next try; `None` where there is none.
    fn wait(&self, tries: u32, asked: Option<Duration>) -> Option<Duration> {
        let longest = FIRST_WAIT.saturating_mul(1 << tries.saturating_sub(1).min(20)).min(LONGEST_WAIT);
        let jittered = longest.mul_f64(self.world.random.fraction().clamp(0.1, 1.0));
        let wait = jittered.max(asked.unwrap_or_default());
        (tries < TRIES && wait <= MOST_PATIENCE && self.waited.saturating_add(wait) <= PATIENCE).then_some(wait)
    }

    async fn ask(&self, query: &[(String, Value)], pass: Pass) -> Result<HttpAnswer, Ask> {
        let scope = PollScope { start: self.start, types: self.spec, now: self.world.clock.now() };
        let request = build_request(&self.poll.request, &self.spec.connection, &scope, query);
        let request = request.map_err(|error| Ask::Never(unbuilt(error)))?;
        let sent = self.world.transport.send(request, PAGE_TIMEOUT, MAX_PAGE).await;
        pass.heard(&heard(&self.spec.connection, &self.poll.request, &sent)).map_err(|withheld| Ask::Never(withheld.into()))?;
        match sent {
            Ok(answer) => check(self.spec, self.poll, self.start, &answer).map(|()| answer),
            Err(error @ TransportError::Refused(_)) => Err(Ask::Never(PollError::failed(error.to_string()))),
            Err(error) => Err(Ask::Again(PollError::failed(error.to_string()), None)),
        }
    }
}

/// Why there is no page.
enum Ask {
    /// Asking again may help, after the time that the service asks for.
    Again(PollError, Option<Duration>),
    Never(PollError),
}

/// Fetches all that is new since `start`.
pub(super) async fn fetch(
    spec: &Spec,
    poll: &Poll,
    reader: &ItemReader,
    engine: &Engine,
    world: &World,
    start: Start<'_>,
) -> Result<Fetched, PollError> {
    let begun = start.begun;
    let mut fetched = Fetched::default();
    let mut ids = HashSet::new();
    let mut asking = Asking { spec, poll, start: &start, engine, world, pages: 0, begun, waited: Duration::ZERO };
    for chunk in chunks(spec, poll, world, &start)? {
        let list = fetch_list(&mut asking, reader, &chunk).await?;
        fetched.newest.extend(list.newest);
        fetched.acts.extend(list.acts);
        fetched.items.extend(list.items.into_iter().filter(|item| ids.insert(item.id.clone())));
        fetched.cursor = list.cursor.or(fetched.cursor);
        // The first answer counts: what happened later may be missing in the lists before.
        fetched.answered_at = fetched.answered_at.or(list.answered_at);
        fetched.whole_until = match (fetched.whole_until, list.whole_until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    fetched.newest.reverse();
    fetched.newest = last_of_each(fetched.newest);
    // Each list is in order already: only several have to be merged.
    sort(&mut fetched.items, false);
    Ok(fetched)
}

/// One list with all its pages.
async fn fetch_list(asking: &mut Asking<'_>, reader: &ItemReader, chunk: &[(String, Value)]) -> Result<Fetched, PollError> {
    let (spec, poll, start) = (asking.spec, asking.poll, asking.start);
    let mut kept: VecDeque<Item> = VecDeque::new();
    let (mut bytes, mut cut) = (0, false);
    let (mut cursor, mut first_answer) = (None, None);
    let mut query = chunk.to_vec();
    let collapses = spec.collapses();
    let mut count = poll.pages.as_ref().filter(|pages| pages.counted).map(|pages| Count::new(asking, pages));
    // An endless list is bounded by the number of pages, one that goes round by this.
    let mut asked: HashSet<String> = HashSet::new();
    for _ in 0..MAX_PAGES {
        let answer = asking.page(&query).await?;
        first_answer = first_answer.or(answered_at(&answer));
        let page = Page::read(poll, reader, &answer)?;
        let counted = match &mut count {
            Some(count) => count.next(&page, start.watermark)?,
            None => None,
        };
        cursor = if poll.cursor_of_items.is_some() { greatest(cursor, page.cursor) } else { page.cursor.or(cursor) };
        // Where records are collapsed, those of types that nobody wants tell the others apart.
        let wanted = |item: &Item| !start.reach_only && (collapses || item.is_wanted(&spec.types));
        for item in page.items.into_iter().filter(wanted) {
            bytes += item.payload.len() + ITEM_BYTES;
            kept.push_back(item);
        }
        if bytes > start.keep_bytes {
            cut = true;
            if !reader.by_instant() {
                return Err(PollError::failed("the list is too long, and without an order it cannot be read in parts"));
            }
            // The oldest are kept, since they go on first: they are at the end of a list that begins with the newest.
            while poll.newest_first && bytes > start.keep_bytes {
                let Some(newest) = kept.pop_front() else { break };
                bytes -= newest.payload.len() + ITEM_BYTES;
            }
        }
        let again = count.as_mut().filter(|_| counted.is_none() && !start.reach_only && !cut).and_then(Count::again);
        if again.is_some() {
            asked.clear();
        }
        let next = page.next.or(counted).or(again).filter(|_| poll.newest_first || !cut);
        let Some((param, value)) = next else {
            let mut items = Vec::from(kept);
            if count.as_ref().is_some_and(|count| count.last.is_some()) {
                let mut ids = HashSet::new();
                items.retain(|item| ids.insert(item.id.clone()));
            }
            let (mut newest, mut acts) = (Vec::new(), Vec::new());
            sort(&mut items, poll.newest_first);
            if collapses {
                items = collapse(items, &spec.source.envelope, start.alone);
                acts = items.iter().filter_map(|item| Some((item.event_type.clone()?, item.at?))).collect();
                newest = last_of_each(acts.iter().rev().cloned().collect());
                items.retain(|item| item.is_wanted(&spec.types));
            }
            let whole_until = items.iter().filter_map(|item| item.at).max().filter(|_| cut);
            if cut && whole_until.is_none() {
                return Err(PollError::failed("the list is too long, and its items have no times"));
            }
            return Ok(Fetched { items, cursor, answered_at: first_answer, newest, acts, whole_until });
        };
        if !asked.insert(value.clone()) {
            return Err(PollError::failed("the list repeats the same page"));
        }
        query.retain(|(name, _)| *name != param);
        query.push((param, Value::text(value)));
    }
    Err(PollError::failed("the list does not end"))
}

/// Keeps the last of each type, in the order of their times; where those are the same, in that of the list. They come in
/// with the newest first.
fn last_of_each(mut newest_first: Vec<(String, Timestamp)>) -> Vec<(String, Timestamp)> {
    newest_first.sort_by(|(_, one), (_, other)| other.cmp(one));
    let mut seen = HashSet::new();
    newest_first.retain(|(name, _)| seen.insert(name.clone()));
    newest_first.reverse();
    newest_first
}

/// Returns the parts of a query field whose list is split over several requests.
fn chunks(spec: &Spec, poll: &Poll, world: &World, start: &Start<'_>) -> Result<Vec<Vec<(String, Value)>>, PollError> {
    let scope = PollScope { start, types: spec, now: world.clock.now() };
    for field in &poll.request.query {
        let Some(size) = field.chunk.and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0) else { continue };
        let value = eval(&field.value, &scope).map_err(|error| unbuilt(error.into()))?;
        if let Value::List(items) = value
            && items.len() > size
        {
            let part = |part: &[Value]| vec![(field.name.clone(), Value::List(part.to_vec().into()))];
            return Ok(items.chunks(size).map(part).collect());
        }
    }
    Ok(vec![Vec::new()])
}

fn unbuilt(error: RequestError) -> PollError {
    match error {
        RequestError::NoCredentials(_) => PollError::Broken(error.to_string()),
        other => PollError::failed(other.to_string()),
    }
}

fn check(spec: &Spec, poll: &Poll, start: &Start<'_>, answer: &HttpAnswer) -> Result<(), Ask> {
    let api = spec.connection.plan.api_of(&poll.request);
    let error = || error_text_of(&spec.connection, api, answer);
    let asked = retry_after(answer);
    match classify(&spec.connection, api, answer) {
        StatusClass::Success => Ok(()),
        StatusClass::Broken => Err(Ask::Never(PollError::Broken(error()))),
        StatusClass::Refused if poll.cursor.is_some() && start.cursor.is_some() && matches!(answer.status, 400 | 404 | 410) => {
            Err(Ask::Never(PollError::CursorLost(error())))
        }
        StatusClass::NotDone | StatusClass::Unknown => {
            Err(Ask::Again(PollError::Failed { error: error(), retry_after: asked }, asked))
        }
        StatusClass::Refused => Err(Ask::Never(PollError::Failed { error: error(), retry_after: asked })),
    }
}

/// More numbered pages than any list has that a service numbers.
const MAX_COUNTED: u32 = 200;

/// Pages that are numbered: each is asked for until one holds what was read before, or fewer items than a page has.
///
/// An item that is deleted meanwhile has the others move up, one of them from the page that is asked for next to the one that was
/// read. So where there are several they are read once more, but for the last: what was between two of them is there then.
struct Count {
    param: String,
    of: Option<u32>,
    first: u32,
    number: u32,
    /// It is the number of items before, not that of the page.
    by_items: bool,
    /// How many pages were counted on.
    pages: u32,
    /// What the page before began with: a service that knows no pages answers with the same one for ever.
    began: Option<u64>,
    /// How many pages the last one was counted on, while the others are read once more.
    last: Option<u32>,
}

impl Count {
    fn new(asking: &Asking<'_>, pages: &Pages) -> Self {
        let declared = asking.poll.request.query.iter().find(|field| field.name == pages.param);
        let scope = PollScope { start: asking.start, types: asking.spec, now: asking.world.clock.now() };
        let first = declared.and_then(|field| match eval(&field.value, &scope) {
            Ok(Value::Number(number)) => number.to_u32(),
            _ => None,
        });
        let first = first.unwrap_or(u32::from(!pages.by_items));
        let (param, of) = (pages.param.clone(), pages.of);
        Self { param, of, first, number: first, by_items: pages.by_items, pages: 0, began: None, last: None }
    }

    /// Returns the parameter and the number of the first page, where the pages are to be read once more.
    fn again(&mut self) -> Option<(String, String)> {
        if self.last.is_some() || self.pages == 0 {
            return None;
        }
        self.last = Some(self.pages);
        (self.number, self.pages, self.began) = (self.first, 0, None);
        Some((self.param.clone(), self.first.to_string()))
    }

    /// Returns the parameter and the number of the page behind this one, where there is more to read.
    fn next(&mut self, page: &Page, watermark: Option<Timestamp>) -> Result<Option<(String, String)>, PollError> {
        if self.began.is_some() && self.began == page.began {
            return Err(PollError::failed("the list repeats the same page"));
        }
        self.began = page.began;
        let is_last = page.count == 0 || self.of.is_some_and(|of| page.count < of as usize);
        let is_known = page.items.iter().filter_map(|item| item.at).min() < watermark && watermark.is_some();
        let has_times = page.items.iter().any(|item| item.at.is_some());
        let is_read = self.last.is_some_and(|last| self.pages + 1 >= last);
        if is_read || is_last || has_times && is_known {
            return Ok(None);
        }
        if self.pages >= MAX_COUNTED {
            return Err(PollError::failed("the list does not end"));
        }
        self.pages += 1;
        let by = if self.by_items { u32::try_from(page.count).unwrap_or(u32::MAX) } else { 1 };
        self.number = self.number.saturating_add(by);
        Ok(Some((self.param.clone(), self.number.to_string())))
    }
}

/// One page.
struct Page {
    items: Vec<Item>,
    /// How many items it has, with those that cannot be read.
    count: usize,
    /// A hash of its first item.
    began: Option<u64>,
    cursor: Option<String>,
    /// The parameter that asks for the next page, and its value.
    next: Option<(String, String)>,
}

impl Page {
    fn read(poll: &Poll, reader: &ItemReader, answer: &HttpAnswer) -> Result<Self, PollError> {
        let mut paths = PathSet::default();
        let items = paths.insert(&poll.items);
        let more = poll.pages.as_ref().and_then(|pages| pages.more.as_ref()).map(|path| paths.insert(path));
        let cursor = poll.cursor.as_ref().map(|path| paths.insert(path));
        let next_page = poll.pages.as_ref().and_then(|pages| pages.from_answer.as_ref()).map(|path| paths.insert(path));
        let found = paths.scan(&answer.body).map_err(|error| PollError::failed(format!("the answer does not fit: {error}")))?;
        let list = found.raw(items).ok_or_else(|| no_list(poll))?;
        let raw: Vec<&RawValue> = serde_json::from_str(list).map_err(|_| no_list(poll))?;
        let word = |leaf: usize| match found.value(leaf) {
            Value::Text(text) if !text.is_empty() => Some(text.to_string()),
            Value::Number(number) => Some(number.normalize().to_string()),
            _ => None,
        };
        let cursor = match &poll.cursor_of_items {
            Some((path, plus)) => {
                let numbers = raw.iter().filter_map(|item| text_at(item.get(), path)?.parse::<i64>().ok());
                numbers.max().and_then(|most| most.checked_add(*plus)).map(|next| next.to_string())
            }
            None => cursor.and_then(word),
        };
        let has_more = more.is_none_or(|leaf| found.value(leaf) == Value::Bool(true));
        let began = raw.first().map(|item| {
            let mut hasher = DefaultHasher::new();
            item.get().hash(&mut hasher);
            hasher.finish()
        });
        let next = match (&poll.pages, raw.last()) {
            (Some(pages), _) if pages.counted => None,
            (Some(pages), _) if pages.from_answer.is_some() => {
                next_page.and_then(word).filter(|_| has_more).map(|value| (pages.param.clone(), value))
            }
            (Some(pages), Some(_)) if has_more => {
                // From an item without it the page before goes on: what cannot be read comes twice, and stops no others.
                let last = raw.iter().rev().find_map(|item| text_at(item.get(), &pages.from_last));
                let value = last
                    .and_then(|value| if pages.plus == 0 { Some(value) } else { counted_on(&value, pages.plus) })
                    .ok_or_else(|| PollError::failed(format!("`{}` is missing in the last item", pages.from_last)))?;
                Some((pages.param.clone(), value))
            }
            (Some(pages), None) if has_more && pages.more.is_some() => {
                return Err(PollError::failed("a page is empty although more are announced"));
            }
            _ => None,
        };
        let count = raw.len();
        Ok(Self { items: raw.iter().filter_map(|item| reader.read(item.get())).collect(), count, began, cursor, next })
    }
}

/// The greater of two numbers, as the texts that they are.
fn greatest(one: Option<String>, other: Option<String>) -> Option<String> {
    [one, other].into_iter().flatten().max_by_key(|number| number.parse::<i64>().unwrap_or(i64::MIN))
}

/// A number and so much more.
fn counted_on(number: &str, plus: i64) -> Option<String> {
    Some(number.parse::<i64>().ok()?.checked_add(plus)?.to_string())
}

fn no_list(poll: &Poll) -> PollError {
    PollError::failed(format!("the answer does not fit: there is no list at `{}`", poll.items))
}

/// What a poll's request can read.
struct PollScope<'a> {
    start: &'a Start<'a>,
    types: &'a Spec,
    now: Timestamp,
}

impl Scope for PollScope<'_> {
    fn env(&self, env: &Env) -> Value {
        match env {
            Env::Watermark => self.start.watermark.map_or(Value::Missing, Value::Instant),
            Env::Cursor => self.start.cursor.map_or(Value::Missing, Value::text),
            Env::LiveTypes => {
                Value::List(self.types.types.iter().map(|name| Value::text(name.as_str())).collect::<Vec<_>>().into())
            }
            Env::Now | Env::SentAt => Value::Instant(self.now),
            _ => Value::Missing,
        }
    }
}
