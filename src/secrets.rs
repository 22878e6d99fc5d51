//! Where secrets come from: the environment, files, systemd credentials.

use std::path::Path;

use flow_compiler::config::{SecretRef, begins_as_secret, is_secret};
use flow_runtime::secret::Secret;

/// Larger than any key or token; a file beyond it was named by mistake.
const MAX_SECRET: u64 = 64 * 1024;

/// Reads a secret. The message of an error says where it was looked for, never what was found.
///
/// # Errors
/// Where the variable, file or credential is not there, is empty, holds nothing but blanks or is no text.
pub fn read(reference: &SecretRef, root: &Path) -> Result<Secret, String> {
    let (what, name) = match reference {
        SecretRef::Env(name) => ("env", name),
        SecretRef::File(name) => ("file", name),
        SecretRef::Credential(name) => ("credential", name),
        SecretRef::Literal(text) => ("literal", text),
    };
    look(reference, root).map_err(|error| {
        // Who wrote the secret where its name belongs does not find it in the log.
        let mistaken = name.split('/').any(looks_secret);
        if mistaken { format!("what stands behind `{what}` looks like the secret itself; its name belongs there") } else { error }
    })
}

fn looks_secret(name: &str) -> bool {
    is_secret(name) || name.len() >= 20 && begins_as_secret(name)
}

/// Returns where a secret is read from, in words.
pub fn described(reference: &SecretRef) -> String {
    // What looks like a secret was written where its name belongs.
    let name = |name: &str| if name.split('/').any(looks_secret) { "…".to_owned() } else { crate::terminal::printable(name) };
    match reference {
        SecretRef::Env(variable) => format!("the environment variable {}", name(variable)),
        SecretRef::File(path) => format!("the file {}", name(path)),
        SecretRef::Credential(credential) => format!("the credential {}", name(credential)),
        SecretRef::Literal(_) => "flow.toml itself".to_owned(),
    }
}

/// Returns the rights of a secret's file where others than its owner may read it.
pub fn open_to_others(reference: &SecretRef, root: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let SecretRef::File(path) = reference else { return None };
    let metadata = std::fs::metadata(root.join(path)).ok().filter(std::fs::Metadata::is_file)?;
    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

fn look(reference: &SecretRef, root: &Path) -> Result<Secret, String> {
    let text = match reference {
        SecretRef::Env(name) => match std::env::var(name) {
            Ok(text) => text,
            Err(std::env::VarError::NotPresent) => return Err(format!("the environment variable {name} is not set")),
            Err(std::env::VarError::NotUnicode(_)) => return Err(format!("the environment variable {name} is not UTF-8 text")),
        },
        SecretRef::File(path) => from_file(&root.join(path), path)?,
        SecretRef::Credential(name) => {
            let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
                return Err(format!(
                    "the credential {name} cannot be read: $CREDENTIALS_DIRECTORY is not set (systemd sets it with LoadCredential={name}:…)"
                ));
            };
            if name.contains(['/', '\\']) || name == ".." {
                return Err(format!("the credential {name} is no plain name"));
            }
            from_file(&Path::new(&folder).join(name), &format!("credential {name}"))?
        }
        SecretRef::Literal(text) => text.clone(),
    };
    // Editors leave a line end behind, and some a mark of the byte order in front; who copies takes a blank along. What is
    // nothing else is no secret: anybody could give it.
    let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(Secret::new(text.to_owned()))
}

fn from_file(path: &Path, name: &str) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| format!("{name} cannot be read: {}", reason(&error)))?;
    if !metadata.is_file() || metadata.len() > MAX_SECRET {
        return Err(format!("{name} is no file of at most 64 KiB"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("{name} cannot be read: {}", reason(&error)))
}

/// Returns what went wrong with a file in a person's words.
pub fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        std::io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        std::io::ErrorKind::QuotaExceeded => "the quota of this user is used up".to_owned(),
        std::io::ErrorKind::FileTooLarge => "this process may write no file so large (`ulimit -f`)".to_owned(),
        std::io::ErrorKind::NotADirectory => "something in its path is no folder".to_owned(),
        std::io::ErrorKind::ReadOnlyFilesystem => "it is for reading alone".to_owned(),
        _ => error.to_string(),
    }
}
