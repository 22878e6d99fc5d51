//! How many connections fit the files that the system lets this process open.
//!
//! A connection is an open file, as are the store's files and requests to services: whoever opens connections must not take
//! those.

/// What is kept for the store, for requests to services and for clients of flowd.
const KEPT: usize = 256;
/// Fewer are of no use.
const LEAST: usize = 64;

/// Returns how many connections senders may have at a time, `most` at most.
pub(crate) fn connections(most: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    soft(&limits).map_or(most, |files| within(files, most))
}

/// The admin API has a part of its own beside: at most a quarter of what senders have.
fn within(files: usize, most: usize) -> usize {
    (files.saturating_sub(KEPT) / 5 * 4).clamp(LEAST, most.max(LEAST))
}

/// Reads how many files may be open; `None` where there is no bound, or none that can be read.
fn soft(limits: &str) -> Option<usize> {
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_store() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max processes             31405                31405                processes\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(soft(limits), Some(1024));
        assert_eq!((within(1024, 1024), within(65_536, 1024), within(100, 1024)), (612, 1024, 64));
        assert_eq!((soft("Max open files            unlimited            unlimited            files\n"), soft("")), (None, None));
        assert!(connections(1024) >= LEAST);
    }
}
