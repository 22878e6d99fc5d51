//! Which files are meant, and which of them are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::stamp::Stamp;

/// A pattern means no more files.
const MOST_FILES: usize = 5000;
/// Folders are looked into so deep.
const DEEPEST: usize = 16;

/// What is there.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: BTreeMap<String, Stamp>,
    /// Folders that cannot be read, and why: what is in them is not known.
    pub(super) unread: BTreeMap<String, String>,
    /// Names that are no text.
    pub(super) odd: BTreeSet<String>,
}

impl Found {
    /// Tells whether a file may be there although it was not found.
    pub(super) fn hides(&self, path: &str) -> bool {
        self.unread.keys().any(|folder| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/')))
    }
}

/// Why nothing can be said.
#[derive(Debug)]
pub(super) enum Blind {
    NoFolder(String),
    Failed(String),
}

/// Which files are meant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern {
    /// The project.
    pub(super) root: PathBuf,
    /// The folder below which all of them are.
    pub(super) base: PathBuf,
    /// The base as it was written.
    prefix: String,
    /// What the names of folders and the file have to be like.
    pub(super) levels: Vec<String>,
}

impl Pattern {
    pub(super) fn new(value: &str, root: &Path) -> Self {
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
    pub(super) fn look(&self) -> Result<Found, Blind> {
        let mut found = Found::default();
        let shown = self.base.display();
        match fs::metadata(&self.base) {
            Ok(base) if base.is_dir() => {}
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Blind::Failed(format!("{shown}: {error}"))),
            Ok(_) | Err(_) => return Err(Blind::NoFolder(format!("there is no folder {shown}"))),
        }
        self.below(&self.base, &self.prefix, &self.levels, 0, &mut found).map_err(|error| {
            Blind::Failed(match error {
                Some(error) => format!("{shown}: {error}"),
                None => format!("there are more than {MOST_FILES} files in {shown}"),
            })
        })?;
        Ok(found)
    }

    fn below(
        &self,
        folder: &Path,
        prefix: &str,
        levels: &[String],
        depth: usize,
        found: &mut Found,
    ) -> Result<(), Option<std::io::Error>> {
        let Some((level, rest)) = levels.split_first() else { return Ok(()) };
        if depth > DEEPEST {
            return Ok(());
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            // A folder may go while it is looked at.
            Err(error) if depth > 0 && error.kind() == ErrorKind::NotFound => return Ok(()),
            // What is in it may be there all the same, and the others are.
            Err(error) if depth > 0 => {
                found.unread.insert(prefix.to_owned(), error.to_string());
                return Ok(());
            }
            Err(error) => return Err(Some(error)),
        };
        if level == "**" {
            self.below(folder, prefix, rest, depth, found)?;
        }
        for entry in entries {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            let (name, is_text) = (name.to_string_lossy(), name.to_str().is_some());
            let name: &str = &name;
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
                if below.is_empty() {
                    continue;
                }
                if is_text {
                    self.below(&entry.path(), &path, below, depth + 1, found)?;
                } else {
                    found.odd.insert(path);
                }
            } else if meta.is_file() && rest.is_empty() && level != "**" && name_matches(level, name) {
                if is_text {
                    found.files.insert(path, Stamp::of(&meta));
                } else {
                    found.odd.insert(path);
                }
                if found.files.len() > MOST_FILES || found.odd.len() > MOST_FILES {
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
    use super::super::stamp::content;
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
            found.files.into_keys().collect::<Vec<_>>()
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
        let text = |path: &str, stamp: &Stamp| content(&at(path), stamp).and_then(|content| content.text);
        assert_eq!(text("in/a.csv", &stamp).as_deref(), Some("in/a.csv"));
        let secret = Stamp::of(&fs::metadata(at("in/link.csv")).expect("it is there"));
        assert_eq!(text("in/link.csv", &secret), None, "no link is read through");
    }
}
