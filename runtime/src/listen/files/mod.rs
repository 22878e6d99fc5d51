//! Files of a folder: what is new, changed or gone, also what became so while nobody looked.
//!
//! What is told is a difference to what was known, which is committed with the event. The system's own messages only say when to
//! look. A file counts when it has stayed the same for a moment: nobody wants half of one.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tokio::sync::{Notify, watch};

use super::{Deaf, Ear, Spec, event};
use crate::event::Incoming;
use pattern::{Blind, Found, Pattern};
use stamp::{Compared, Content, Stamp, content};

mod pattern;
mod stamp;

pub(crate) use pattern::glob_matches;

/// A file that is being written changes again within this.
const SETTLED: SignedDuration = SignedDuration::from_secs(1);
/// Whatever the system says, it is looked at so often: messages get lost, and network drives send none.
const EVERY: Duration = Duration::from_secs(30);
/// Many messages at once are one reason to look.
const BURST: Duration = Duration::from_millis(100);
const BATCH: usize = 50;

/// What is remembered: the files that were there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    files: BTreeMap<String, Stamp>,
}

/// Looks for as long as live flows name the pattern.
pub(super) async fn run(mut ear: Ear, mut specs: watch::Receiver<Arc<Spec>>) {
    let mut memory: Option<Memory> = ear.remembered();
    let mut pending: Pending = HashMap::new();
    let woken = Arc::new(Notify::new());
    let mut watched: Option<Watched> = None;
    loop {
        let spec = Arc::clone(&specs.borrow_and_update());
        let (value, _) = spec.only();
        let pattern = Arc::new(Pattern::new(value, &spec.connection.root));
        let base = pattern.base.clone();
        let folder = tokio::task::spawn_blocking(move || Folder::of(base)).await.ok();
        if watched.as_ref().is_none_or(|known| known.folder != folder || known.watcher.is_none()) {
            watched = Some(Watched { folder, watcher: watcher(&pattern, &woken) });
        }
        let looking = Arc::clone(&pattern);
        let began = ear.world.clock.now();
        let found = tokio::task::spawn_blocking(move || looking.look()).await;
        let found = found.unwrap_or_else(|_| Err(Blind::Failed("the folder cannot be looked at".to_owned())));
        let blind = match &found {
            Ok(found) => unread(found),
            Err(Blind::NoFolder(error) | Blind::Failed(error)) => Some(error.clone()),
        };
        let found = match found {
            Ok(found) => Some(found),
            // Where nothing is nothing is old.
            Err(Blind::NoFolder(_)) if memory.is_none() => Some(Found::default()),
            Err(_) => None,
        };
        let mut wait = spec.connection.poll_every.or(spec.every()).unwrap_or(EVERY);
        let taken = match found {
            Some(found) => {
                ear.sees_odd(found.odd.len(), found.odd.first().map(String::as_str));
                differences(&mut ear, &spec, &pattern, (began, found), &mut memory, &mut pending).await
            }
            None => Ok(()),
        };
        match (taken, blind) {
            (Err(Deaf::Stopping), _) => return,
            (Err(Deaf::Later(error)), _) | (Ok(()), Some(error)) => ear.failed(&error, false),
            (Ok(()), None) => ear.succeeded(),
        }
        if !pending.is_empty() {
            wait = wait.min(Duration::try_from(SETTLED).unwrap_or(wait));
        }
        let until = crate::poll::later(ear.world.clock.now(), wait);
        let clock = Arc::clone(&ear.world.clock);
        tokio::select! {
            () = clock.sleep_until(until) => {}
            () = woken.notified() => tokio::time::sleep(BURST).await,
            changed = specs.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// What has become different, and since when it has been so.
type Pending = HashMap<String, (Option<Stamp>, Timestamp)>;

/// What the system says changes of.
struct Watched {
    folder: Option<Folder>,
    watcher: Option<RecommendedWatcher>,
}

/// A folder: another one under the same name is another.
#[derive(PartialEq, Eq)]
struct Folder {
    path: PathBuf,
    id: Option<(u64, u64)>,
}

impl Folder {
    fn of(path: PathBuf) -> Self {
        let id = fs::metadata(&path).ok().map(|found| (found.dev(), found.ino()));
        Self { path, id }
    }
}

/// Returns what of it cannot be read.
fn unread(found: &Found) -> Option<String> {
    let (path, error) = found.unread.first_key_value()?;
    let more = match found.unread.len() {
        1 => String::new(),
        count => format!(", and {} folders more cannot be read", count - 1),
    };
    Some(format!("{path}: {error}{more}"))
}

/// Asks the system to say when something changes; where it does not, it is looked at now and then.
fn watcher(pattern: &Pattern, woken: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let woken = Arc::clone(woken);
    let mut watcher = notify::recommended_watcher(move |said: notify::Result<notify::Event>| {
        // That somebody has read a file, which we do ourselves, is no change.
        if !said.is_ok_and(|event| event.kind.is_access()) {
            woken.notify_one();
        }
    })
    .ok()?;
    let mode = if pattern.levels.len() > 1 { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
    watcher.watch(&pattern.base, mode).ok()?;
    Some(watcher)
}

/// Takes in what has become different and has stayed so.
async fn differences(
    ear: &mut Ear,
    spec: &Spec,
    pattern: &Arc<Pattern>,
    (began, found): (Timestamp, Found),
    memory: &mut Option<Memory>,
    pending: &mut Pending,
) -> Result<(), Deaf> {
    let (value, _) = spec.only();
    let Some(known) = memory else {
        tracing::info!(
            connection = ear.key.0,
            source = ear.key.1,
            files = found.files.len(),
            "a folder is looked at first: what is there is old"
        );
        let files = read(pattern, found.files).await;
        let first = Memory { files: files.into_iter().map(|(path, (stamp, _))| (path, stamp)).collect() };
        ear.take_in(Vec::new(), &first).await?;
        *memory = Some(first);
        return Ok(());
    };
    // From the end of one look to the beginning of the next: what a look itself takes proves nothing of the files.
    let now = ear.world.clock.now();
    let gone = known.files.keys().filter(|path| !found.files.contains_key(*path) && !found.hides(path));
    let mut different: BTreeMap<String, Option<Stamp>> = gone.map(|path| (path.clone(), None)).collect();
    let mut unsure = BTreeMap::new();
    for (path, stamp) in found.files {
        match known.files.get(&path).map_or(Compared::Other, |known| known.compare(&stamp)) {
            Compared::Same => {}
            Compared::Other => drop(different.insert(path, Some(stamp))),
            Compared::Unsure => drop(unsure.insert(path, stamp)),
        }
    }
    for (path, (stamp, _)) in read(pattern, unsure).await {
        let Some(known) = known.files.get_mut(&path) else { continue };
        if known.mark.is_some() && stamp.mark.is_some() && known.mark != stamp.mark {
            different.insert(path, Some(stamp.marked(None)));
        } else {
            // Its rights were changed, or an earlier version has remembered less. It is written with what comes next.
            let mark = stamp.mark.clone().or_else(|| known.mark.take());
            *known = stamp.marked(mark);
        }
    }
    pending.retain(|path, _| different.contains_key(path));
    let mut settled = Vec::new();
    for (path, stamp) in different {
        let (seen, since) = pending.entry(path.clone()).or_insert_with(|| (stamp.clone(), now)).clone();
        if seen != stamp {
            pending.insert(path, (stamp, now));
        } else if began.duration_since(since) >= SETTLED {
            settled.push((path, stamp));
        }
    }
    for batch in settled.chunks(BATCH) {
        let there = batch.iter().filter_map(|(path, stamp)| Some((path.clone(), stamp.clone()?)));
        let mut there = read(pattern, there.collect()).await;
        let mut next = known.clone();
        let mut events: Vec<Incoming> = Vec::new();
        for (path, _) in batch {
            let there = there.remove(path);
            let kind = match (known.files.get(path), &there) {
                (_, None) => "deleted",
                (None, Some(_)) => "created",
                (Some(_), Some(_)) => "changed",
            };
            let fields = fields(path, kind, there.as_ref());
            match there {
                Some((stamp, _)) => drop(next.files.insert(path.clone(), stamp)),
                None => drop(next.files.remove(path)),
            }
            let id = ear.fresh_id();
            events.push(event(id, spec.source(), None, vec![value.to_owned()], fields));
        }
        ear.take_in(events, &next).await?;
        *known = next;
        for (path, _) in batch {
            pending.remove(path);
        }
    }
    Ok(())
}

/// Reads files, as far as they can be: what their content is known by is put to the stamp.
async fn read(pattern: &Arc<Pattern>, files: BTreeMap<String, Stamp>) -> BTreeMap<String, (Stamp, Option<Content>)> {
    if files.is_empty() {
        return BTreeMap::new();
    }
    let root = pattern.root.clone();
    let unread = files.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let one = |(path, stamp): (String, Stamp)| {
            let content = content(&root.join(&path), &stamp);
            let mark = content.as_ref().map(|content| content.mark.clone());
            (path, (stamp.marked(mark), content))
        };
        files.into_iter().map(one).collect()
    });
    reading.await.unwrap_or_else(|_| unread.into_iter().map(|(path, stamp)| (path, (stamp, None))).collect())
}

fn fields(path: &str, kind: &str, there: Option<&(Stamp, Option<Content>)>) -> Map<String, Json> {
    let mut fields = Map::new();
    let name = path.rsplit('/').next().unwrap_or(path);
    fields.insert("path".to_owned(), json!(path));
    fields.insert("name".to_owned(), json!(name));
    fields.insert("kind".to_owned(), json!(kind));
    if let Some((stamp, content)) = there {
        fields.insert("size".to_owned(), json!(stamp.size));
        fields.insert("modified_at".to_owned(), json!(stamp.modified_at().map(|at| at.to_string())));
        if let Some(text) = content.as_ref().and_then(|content| content.text.as_ref()) {
            fields.insert("text".to_owned(), json!(text));
        }
    }
    fields
}
