//! Files of a folder: what is new, changed or gone, also what became so while nobody looked.
//!
//! What is told is a difference to what was known, which is committed with the event. The system's own messages only say when to
//! look. A file counts when it has stayed the same for a moment: nobody wants half of one.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tokio::sync::{Notify, watch};

use super::{Deaf, Ear, Spec, event};
use crate::event::Incoming;

/// A file that is being written changes again within this.
const SETTLED: SignedDuration = SignedDuration::from_secs(1);
/// Whatever the system says, it is looked at so often: messages get lost, and network drives send none.
const EVERY: Duration = Duration::from_secs(30);
/// Many messages at once are one reason to look.
const BURST: Duration = Duration::from_millis(100);
/// A pattern means no more files.
const MOST_FILES: usize = 5000;
/// Folders are looked into so deep.
const DEEPEST: usize = 16;
/// A text beyond is not shown.
const MAX_TEXT: u64 = 64 * 1024;
const BATCH: usize = 50;

/// What a file was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    seconds: i64,
    nanos: i64,
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self { size: found.len(), seconds: found.mtime(), nanos: found.mtime_nsec() }
    }

    fn modified_at(&self) -> Option<Timestamp> {
        Timestamp::new(self.seconds, i32::try_from(self.nanos).ok()?).ok()
    }
}

/// What is remembered: the files that were there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    files: BTreeMap<String, Stamp>,
}

/// Looks for as long as live flows name the pattern.
pub(super) async fn run(mut ear: Ear, mut specs: watch::Receiver<Arc<Spec>>) {
    let mut memory: Option<Memory> = ear.remembered();
    let mut pending: HashMap<String, (Option<Stamp>, Timestamp)> = HashMap::new();
    let woken = Arc::new(Notify::new());
    let mut watched: Option<(PathBuf, Option<RecommendedWatcher>)> = None;
    loop {
        let spec = Arc::clone(&specs.borrow_and_update());
        let (value, _) = spec.only();
        let pattern = Pattern::new(value, &spec.connection.root);
        if watched.as_ref().is_none_or(|(known, watcher)| *known != pattern.base || watcher.is_none()) {
            watched = Some((pattern.base.clone(), watcher(&pattern, &woken)));
        }
        let looking = pattern.clone();
        let began = ear.world.clock.now();
        let found = tokio::task::spawn_blocking(move || looking.look()).await;
        let mut wait = spec.connection.poll_every.or(spec.every()).unwrap_or(EVERY);
        match found.unwrap_or_else(|_| Err("the folder cannot be looked at".to_owned())) {
            Err(error) => ear.failed(&error, false),
            Ok(files) => match differences(&mut ear, &spec, &pattern, Look { began, files }, &mut memory, &mut pending).await {
                Ok(()) => ear.succeeded(),
                Err(Deaf::Stopping) => return,
                Err(Deaf::Later(error)) => ear.failed(&error, false),
            },
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

/// What was there, seen from this instant on.
struct Look {
    began: Timestamp,
    files: BTreeMap<String, Stamp>,
}

/// Takes in what has become different and has stayed so.
async fn differences(
    ear: &mut Ear,
    spec: &Spec,
    pattern: &Pattern,
    Look { began, files: found }: Look,
    memory: &mut Option<Memory>,
    pending: &mut HashMap<String, (Option<Stamp>, Timestamp)>,
) -> Result<(), Deaf> {
    let (value, _) = spec.only();
    let Some(known) = memory else {
        tracing::info!(
            connection = ear.key.0,
            source = ear.key.1,
            files = found.len(),
            "a folder is looked at first: what is there is old"
        );
        let first = Memory { files: found };
        ear.take_in(Vec::new(), &first).await?;
        *memory = Some(first);
        return Ok(());
    };
    // From the end of one look to the beginning of the next: what a look itself takes proves nothing of the files.
    let now = ear.world.clock.now();
    let gone = known.files.keys().filter(|path| !found.contains_key(*path)).map(|path| (path.clone(), None));
    let other = found.iter().filter(|(path, stamp)| known.files.get(*path) != Some(stamp));
    let different: BTreeMap<String, Option<Stamp>> =
        gone.chain(other.map(|(path, stamp)| (path.clone(), Some(*stamp)))).collect();
    pending.retain(|path, _| different.contains_key(path));
    let mut settled = Vec::new();
    for (path, stamp) in different {
        let (seen, since) = *pending.entry(path.clone()).or_insert((stamp, now));
        if seen != stamp {
            pending.insert(path, (stamp, now));
        } else if began.duration_since(since) >= SETTLED {
            settled.push((path, stamp));
        }
    }
    for batch in settled.chunks(BATCH) {
        let mut next = known.clone();
        let mut events: Vec<Incoming> = Vec::new();
        for (path, stamp) in batch {
            let kind = match (known.files.get(path), stamp) {
                (_, None) => "deleted",
                (None, Some(_)) => "created",
                (Some(_), Some(_)) => "changed",
            };
            match stamp {
                Some(stamp) => drop(next.files.insert(path.clone(), *stamp)),
                None => drop(next.files.remove(path)),
            }
            let fields = fields(pattern, path, kind, *stamp);
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

fn fields(pattern: &Pattern, path: &str, kind: &str, stamp: Option<Stamp>) -> Map<String, Json> {
    let mut fields = Map::new();
    let name = path.rsplit('/').next().unwrap_or(path);
    fields.insert("path".to_owned(), json!(path));
    fields.insert("name".to_owned(), json!(name));
    fields.insert("kind".to_owned(), json!(kind));
    if let Some(stamp) = stamp {
        fields.insert("size".to_owned(), json!(stamp.size));
        fields.insert("modified_at".to_owned(), json!(stamp.modified_at().map(|at| at.to_string())));
        if let Some(text) = text(&pattern.root.join(path), stamp) {
            fields.insert("text".to_owned(), json!(text));
        }
    }
    fields
}

/// The text of a file that is small, UTF-8, and still what it was.
fn text(path: &Path, stamp: Stamp) -> Option<String> {
    if stamp.size > MAX_TEXT {
        return None;
    }
    // A pipe would let us wait, and what a link leads to is another file.
    let file = File::options().read(true).custom_flags(NOT_THROUGH_LINKS).open(path).ok()?;
    if !file.metadata().is_ok_and(|found| found.is_file() && Stamp::of(&found) == stamp) {
        return None;
    }
    let mut text = String::new();
    file.take(MAX_TEXT).read_to_string(&mut text).ok()?;
    Some(text)
}

const NOT_THROUGH_LINKS: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;

/// Which files are meant.
#[derive(Debug, Clone, PartialEq)]
struct Pattern {
    /// The project.
    root: PathBuf,
    /// The folder below which all of them are.
    base: PathBuf,
    /// The base as it was written.
    prefix: String,
    /// What the names of folders and the file have to be like.
    levels: Vec<String>,
}

impl Pattern {
    fn new(value: &str, root: &Path) -> Self {
        let parts: Vec<&str> = value.split('/').collect();
        let first = parts.iter().position(|part| part.contains(['*', '?'])).unwrap_or(parts.len());
        let (mut fixed, mut levels) =
            (parts[..first].to_vec(), parts[first..].iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        let whole = root.join(value);
        if levels.is_empty() && (value.ends_with('/') || whole.is_dir()) {
            fixed.retain(|part| !part.is_empty() || value.starts_with('/') && parts.first() == Some(part));
            levels.push("*".to_owned());
        } else if levels.is_empty() {
            levels.extend(fixed.pop().map(str::to_owned));
        }
        let mut prefix = fixed.join("/");
        if prefix.is_empty() && value.starts_with('/') {
            prefix.push('/');
        }
        Self { root: root.to_owned(), base: root.join(&prefix), prefix, levels }
    }

    /// Returns the files that are there.
    fn look(&self) -> Result<BTreeMap<String, Stamp>, String> {
        let mut found = BTreeMap::new();
        let shown = self.base.display();
        if !fs::metadata(&self.base).is_ok_and(|base| base.is_dir()) {
            return Err(format!("there is no folder {shown}"));
        }
        self.below(&self.base, &self.prefix, &self.levels, 0, &mut found).map_err(|error| match error {
            Some(error) => format!("{shown}: {error}"),
            None => format!("there are more than {MOST_FILES} files in {shown}"),
        })?;
        Ok(found)
    }

    fn below(
        &self,
        folder: &Path,
        prefix: &str,
        levels: &[String],
        depth: usize,
        found: &mut BTreeMap<String, Stamp>,
    ) -> Result<(), Option<std::io::Error>> {
        let Some((level, rest)) = levels.split_first() else { return Ok(()) };
        if depth > DEEPEST {
            return Ok(());
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            // A folder may go while it is looked at.
            Err(error) if depth > 0 && error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Some(error)),
        };
        if level == "**" {
            self.below(folder, prefix, rest, depth, found)?;
        }
        for entry in entries {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let path = match prefix {
                "" => name.to_owned(),
                "/" => format!("/{name}"),
                _ => format!("{prefix}/{name}"),
            };
            // Of the entry itself: where a link leads to is not looked at.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                let below = match level.as_str() {
                    "**" if !name.starts_with('.') => levels,
                    "**" => &[],
                    _ if name_matches(level, name) => rest,
                    _ => &[],
                };
                if !below.is_empty() {
                    self.below(&entry.path(), &path, below, depth + 1, found)?;
                }
            } else if meta.is_file() && rest.is_empty() && level != "**" && name_matches(level, name) {
                found.insert(path, Stamp::of(&meta));
                if found.len() > MOST_FILES {
                    return Err(None);
                }
            }
        }
        Ok(())
    }
}

/// Tells whether a path is one that a pattern means.
pub(crate) fn glob_matches(pattern: &str, path: &str) -> bool {
    fn levels(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => levels(rest, path) || !path.is_empty() && levels(pattern, &path[1..]),
            (Some((level, rest)), Some((name, below))) => (level == name || name_matches(level, name)) && levels(rest, below),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    let parts = |text: &'_ str| -> Vec<String> { text.split('/').map(str::to_owned).collect() };
    let (wanted, found) = (parts(pattern.trim_end_matches('/')), parts(path));
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    // A folder means the files in it.
    let folder = !pattern.contains(['*', '?']) && found.len() == wanted.len() + 1 && found.starts_with(&wanted);
    folder || levels(&wanted, &found)
}

/// `*` is any text, `?` one character. What begins with a dot is hidden from both.
fn name_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some('?') => (p, n) = (p + 1, n + 1),
            Some(c) if *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_say() {
        for (pattern, path, wanted) in [
            ("in/*.csv", "in/a.csv", true),
            ("in/*.csv", "in/.a.csv", false),
            ("in/*.csv", "in/sub/a.csv", false),
            ("in/**/*.csv", "in/a.csv", true),
            ("in/**/*.csv", "in/x/y/a.csv", true),
            ("in/*/a?.csv", "in/x/ab.csv", true),
            ("/data/in/", "/data/in/a", true),
            ("/data/in", "/data/in/a", true),
            ("in/a.csv", "in/a.csv", true),
            ("in/a*b*c", "in/axxbyyc", true),
            ("in/a*b*c", "in/axxbyy", false),
        ] {
            assert_eq!(glob_matches(pattern, path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn links_and_hidden_files_are_not_looked_at() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("in/sub/deep")).expect("a folder");
        fs::create_dir_all(at("elsewhere")).expect("a folder");
        for path in ["in/a.csv", "in/.hidden.csv", "in/b.txt", "in/sub/c.csv", "in/sub/deep/d.csv", "elsewhere/secret.csv"] {
            fs::write(at(path), path).expect("a file");
        }
        std::os::unix::fs::symlink(at("elsewhere/secret.csv"), at("in/link.csv")).expect("a link");
        std::os::unix::fs::symlink(at("elsewhere"), at("in/folder")).expect("a link");
        let found = |pattern: &str| {
            let found = Pattern::new(pattern, root.path()).look().expect("it can be looked at");
            found.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(found("in/*.csv"), ["in/a.csv"]);
        assert_eq!(found("in"), ["in/a.csv", "in/b.txt"]);
        assert_eq!(found("in/"), ["in/a.csv", "in/b.txt"]);
        assert_eq!(found("in/*/*.csv"), ["in/sub/c.csv"]);
        assert_eq!(found("in/**/*.csv"), ["in/a.csv", "in/sub/c.csv", "in/sub/deep/d.csv"]);
        assert_eq!(found("in/b.txt"), ["in/b.txt"]);
        assert!(found("in/none.txt").is_empty());
        assert!(Pattern::new("nowhere/*.csv", root.path()).look().is_err());
        let absolute = format!("{}/in/*.txt", root.path().display());
        assert_eq!(found(&absolute), [format!("{}/in/b.txt", root.path().display())]);
        let stamp = Stamp::of(&fs::symlink_metadata(at("in/a.csv")).expect("it is there"));
        assert_eq!(text(&at("in/a.csv"), stamp).as_deref(), Some("in/a.csv"));
        let secret = Stamp::of(&fs::metadata(at("in/link.csv")).expect("it is there"));
        assert_eq!(text(&at("in/link.csv"), secret), None, "no link is read through");
    }
}
