//! The unix socket of the admin API.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// The name of the socket in the store's folder.
pub const SOCKET_NAME: &str = "admin.sock";

/// The longest path of a unix socket: the system's structure has 108 bytes, the last of which is 0.
pub(crate) const LONGEST_PATH: usize = 107;

/// Returns the length of the socket's path in bytes.
pub(crate) fn path_length(folder: &Path) -> usize {
    folder.join(SOCKET_NAME).as_os_str().len()
}

/// Binds the socket so that at no instant anybody but the daemon's user can reach it, whatever the umask: it is made in
/// a folder of mode 0700 and moved to its place when its own mode is 0600. A stale one is replaced by the move.
///
/// The store is open, and so locked, when this is called: no other daemon can live behind the name.
pub(crate) fn bind(folder: &Path) -> io::Result<(UnixListener, PathBuf)> {
    let place = folder.join(SOCKET_NAME);
    let private = folder.join(".s");
    // What a killed daemon left behind.
    match fs::remove_dir_all(&private) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&private)?;
    let made = private.join("s");
    let bound = UnixListener::bind(&made).and_then(|listener| {
        fs::set_permissions(&made, Permissions::from_mode(0o600))?;
        fs::rename(&made, &place)?;
        Ok(listener)
    });
    fs::remove_dir_all(&private)?;
    Ok((bound?, place))
}
