//! Changes of a project's files, gathered until an editor has finished.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Editors write in several steps (truncate, write, rename): a change is taken up once it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(12);
/// And at the latest after this, whatever still changes.
const PATIENCE: Duration = Duration::from_millis(80);

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changed {
    /// These paths.
    Paths(BTreeSet<PathBuf>),
    /// It is not known what: everything is to be read.
    Everything,
}

/// Watches `root`. The watcher stops when it is dropped.
///
/// # Errors
/// Where the system cannot watch: too many watches, no such folder.
pub(crate) fn watch(root: &Path) -> notify::Result<(RecommendedWatcher, mpsc::UnboundedReceiver<Changed>)> {
    let (raw_sender, raw) = std::sync::mpsc::channel::<notify::Result<Event>>();
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut watcher = notify::recommended_watcher(move |event| {
        // Without a receiver the daemon is stopping.
        drop(raw_sender.send(event));
    })?;
    watcher.watch(root, RecursiveMode::Recursive)?;
    let root = root.to_path_buf();
    std::thread::Builder::new()
        .name("flowd-watch".into())
        .spawn(move || gather(&root, &raw, &sender))
        .map_err(notify::Error::io)?;
    Ok((watcher, receiver))
}

fn gather(root: &Path, raw: &std::sync::mpsc::Receiver<notify::Result<Event>>, sender: &mpsc::UnboundedSender<Changed>) {
    while let Ok(first) = raw.recv() {
        let began = Instant::now();
        let mut paths = BTreeSet::new();
        let mut everything = !note(root, first, &mut paths);
        if paths.is_empty() && !everything {
            continue;
        }
        while let Ok(next) = raw.recv_timeout(QUIET.min(PATIENCE.saturating_sub(began.elapsed()))) {
            everything |= !note(root, next, &mut paths);
            if began.elapsed() >= PATIENCE {
                break;
            }
        }
        let changed = if everything { Changed::Everything } else { Changed::Paths(paths) };
        if sender.send(changed).is_err() {
            return;
        }
    }
}

/// Notes the paths that matter; returns false where the system lost track.
fn note(root: &Path, event: notify::Result<Event>, paths: &mut BTreeSet<PathBuf>) -> bool {
    let Ok(event) = event else { return false };
    if event.need_rescan() {
        return false;
    }
    if matches!(event.kind, EventKind::Access(_)) {
        return true;
    }
    paths.extend(event.paths.into_iter().filter(|path| matters(root, path)));
    true
}

/// A source, flow.toml, or perhaps a folder: not the store, not what is hidden, not an editor's scratch file.
fn matters(root: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let left_out = |name: &str| name.starts_with('.') || name == "target" || name == "node_modules";
    if inside.components().any(|part| left_out(&part.as_os_str().to_string_lossy())) {
        return false;
    }
    flow::project::is_source(path)
        || path.file_name().is_some_and(|name| name == "flow.toml")
        || path.is_dir()
        || path.extension().is_none()
}
