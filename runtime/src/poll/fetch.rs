//! All pages of one poll, within a bound of memory.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use flow_plan::{Env, Poll, Value};
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::Spec;
use super::items::{Item, ItemReader, sort, text_at};
use crate::answer::{StatusClass, answered_at, classify, error_text, retry_after};
use crate::eval::{Scope, eval};
use crate::request::{RequestError, build_request};
use crate::scan::PathSet;
use crate::world::{HttpAnswer, World};

/// A page is answered within.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_PAGE: usize = 32 * 1024 * 1024;
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
}

/// What a poll found, oldest first.
pub(super) struct Fetched {
    pub(super) items: Vec<Item>,
    /// The service's next cursor.
    pub(super) cursor: Option<String>,
    /// The service's own time of the first answer.
    pub(super) answered_at: Option<Timestamp>,
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

/// Fetches all that is new since `start`.
pub(super) async fn fetch(
    spec: &Spec,
    poll: &Poll,
    reader: &ItemReader,
    world: &World,
    start: Start<'_>,
) -> Result<Fetched, PollError> {
    let mut fetched = Fetched { items: Vec::new(), cursor: None, answered_at: None, whole_until: None };
    let mut ids = HashSet::new();
    for chunk in chunks(spec, poll, world, &start)? {
        let list = fetch_list(spec, poll, reader, world, &start, &chunk).await?;
        fetched.items.extend(list.items.into_iter().filter(|item| ids.insert(item.id.clone())));
        fetched.cursor = list.cursor.or(fetched.cursor);
        // The first answer counts: what happened later may be missing in the lists before.
        fetched.answered_at = fetched.answered_at.or(list.answered_at);
        fetched.whole_until = match (fetched.whole_until, list.whole_until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    // Each list is in order already: only several have to be merged.
    sort(&mut fetched.items, false);
    Ok(fetched)
}

/// One list with all its pages.
async fn fetch_list(
    spec: &Spec,
    poll: &Poll,
    reader: &ItemReader,
    world: &World,
    start: &Start<'_>,
    chunk: &[(String, Value)],
) -> Result<Fetched, PollError> {
    let mut kept: VecDeque<Item> = VecDeque::new();
    let (mut bytes, mut cut) = (0, false);
    let (mut cursor, mut first_answer) = (None, None);
    let mut query = chunk.to_vec();
    let mut page_param: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let now = world.clock.now();
        let scope = PollScope { start, types: spec, now };
        let request = build_request(&poll.request, &spec.connection, &scope, &query).map_err(unbuilt)?;
        let answer = world.transport.send(request, PAGE_TIMEOUT, MAX_PAGE).await;
        let answer = answer.map_err(|error| PollError::failed(error.to_string()))?;
        check(spec, poll, start, &answer)?;
        first_answer = first_answer.or(answered_at(&answer));
        let page = Page::read(poll, reader, &answer)?;
        cursor = page.cursor.or(cursor);
        for item in page.items.into_iter().filter(|item| item.is_wanted(&spec.types)) {
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
        let next = page.next.filter(|_| poll.newest_first || !cut);
        let Some((param, value)) = next else {
            let mut items = Vec::from(kept);
            sort(&mut items, poll.newest_first);
            let whole_until = items.iter().filter_map(|item| item.at).max().filter(|_| cut);
            if cut && whole_until.is_none() {
                return Err(PollError::failed("the list is too long, and its items have no times"));
            }
            return Ok(Fetched { items, cursor, answered_at: first_answer, whole_until });
        };
        if page_param.as_ref() == Some(&value) {
            return Err(PollError::failed("the list repeats the same page"));
        }
        query.retain(|(name, _)| *name != param);
        query.push((param, Value::text(value.as_str())));
        page_param = Some(value);
    }
    Err(PollError::failed("the list does not end"))
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

fn check(spec: &Spec, poll: &Poll, start: &Start<'_>, answer: &HttpAnswer) -> Result<(), PollError> {
    let error = || error_text(&spec.connection, answer);
    match classify(&spec.connection, &[], answer) {
        StatusClass::Success => Ok(()),
        StatusClass::Broken => Err(PollError::Broken(error())),
        StatusClass::Refused if poll.cursor.is_some() && start.cursor.is_some() && matches!(answer.status, 400 | 404 | 410) => {
            Err(PollError::CursorLost(error()))
        }
        StatusClass::NotDone | StatusClass::Unknown | StatusClass::Refused => {
            Err(PollError::Failed { error: error(), retry_after: retry_after(answer) })
        }
    }
}

/// One page.
struct Page {
    items: Vec<Item>,
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
        let found = paths.scan(&answer.body).map_err(|error| PollError::failed(format!("the answer does not fit: {error}")))?;
        let list = found.raw(items).ok_or_else(|| no_list(poll))?;
        let raw: Vec<&RawValue> = serde_json::from_str(list).map_err(|_| no_list(poll))?;
        let cursor = match cursor.map(|leaf| found.value(leaf)) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text.to_string()),
            Some(Value::Number(number)) => Some(number.normalize().to_string()),
            _ => None,
        };
        let has_more = more.is_none_or(|leaf| found.value(leaf) == Value::Bool(true));
        let next = match (&poll.pages, raw.last()) {
            (Some(pages), Some(last)) if has_more => {
                let value = text_at(last.get(), &pages.from_last)
                    .ok_or_else(|| PollError::failed(format!("`{}` is missing in the last item", pages.from_last)))?;
                Some((pages.param.clone(), value))
            }
            (Some(pages), None) if has_more && pages.more.is_some() => {
                return Err(PollError::failed("a page is empty although more are announced"));
            }
            _ => None,
        };
        Ok(Self { items: raw.iter().filter_map(|item| reader.read(item.get())).collect(), cursor, next })
    }
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
