//! "Did you mean": the nearest of the names that would have been right.

/// Returns the candidate nearest to `name`, within a third of its length, swaps counting one.
///
/// Candidates are of the right kind already; a tie goes to the first.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One letter of two is half of the word: that is no slip, but another name.
    if name.chars().count() < 3 {
        return None;
    }
    let limit = name.chars().count() / 3;
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = distance(name, candidate, limit);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Returns the candidate that a name is one slip away from: for names of which not all are known.
pub fn one_slip<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates.into_iter().find(|candidate| distance(name, candidate, 1) == 1)
}

/// Returns the edit distance (optimal string alignment, without regard to case), or more than `limit` where it is larger.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    if a.len().abs_diff(b.len()) > limit || a.len() > 200 || b.len() > 200 {
        return limit + 1;
    }
    let width = b.len() + 1;
    let mut table = vec![0usize; (a.len() + 1) * width];
    let at = |i: usize, j: usize| i * width + j;
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[at(i, j)] = if i == 0 {
                j
            } else if j == 0 {
                i
            } else {
                let cost = usize::from(a[i - 1] != b[j - 1]);
                let mut least = (table[at(i - 1, j)] + 1).min(table[at(i, j - 1)] + 1).min(table[at(i - 1, j - 1)] + cost);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(table[at(i - 2, j - 2)] + 1);
                }
                least
            };
        }
    }
    table[at(a.len(), b.len())]
}

#[cfg(test)]
mod tests {
    use super::{nearest, one_slip};

    #[test]
    fn one_slip_is_one() {
        let names = ["charge.failed", "customer.created"];
        assert_eq!(one_slip("charge.faild", names), Some("charge.failed"));
        assert_eq!(one_slip("customer.updated", names), None);
        assert_eq!(one_slip("charge.failed", names), None);
    }

    #[test]
    fn finds_slips_but_not_strangers() {
        let names = ["amount", "amount_refunded", "customer", "customer_email"];
        assert_eq!(nearest("amuont", names), Some("amount"));
        assert_eq!(nearest("custmer_email", names), Some("customer_email"));
        assert_eq!(nearest("temperature", names), None);
        assert_eq!(nearest("x", names), None);
        assert_eq!(nearest("b", ["a", "ab"]), None);
        assert_eq!(nearest("id", ["is"]), None);
        assert_eq!(nearest("ids", ["id"]), Some("id"));
    }
}
