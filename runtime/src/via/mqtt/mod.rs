//! MQTT 3.1.1: what is said on the wire, the way to a broker, and publishing.

pub(crate) mod codec;
mod link;
mod publish;

pub(crate) use codec::{Packet, Qos};
pub(crate) use link::{Broker, Link, Session};
pub(crate) use publish::{Publishers, greet};

/// Tells whether a topic is one of those that a filter means: `+` is one level, `#` the rest. Neither means topics that begin
/// with `$`, which are the broker's own.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    let filter = unshared(filter);
    if topic.starts_with('$') && !filter.starts_with('$') {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            (None, None) => return true,
            // `a/#` means `a` too, which the arm above does not see.
            _ => return false,
        }
    }
}

/// Tells whether each message of a filter comes to one of several subscribers: `$share/NAME/FILTER`.
pub(crate) fn is_shared(filter: &str) -> bool {
    filter.starts_with(SHARE)
}

const SHARE: &str = "$share/";

/// Returns the filter of a shared subscription: what stands behind its name.
fn unshared(filter: &str) -> &str {
    filter.strip_prefix(SHARE).and_then(|rest| rest.split_once('/')).map_or(filter, |(_, filter)| filter)
}

/// Tells whether there can be a topic that both filters mean.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (unshared(one), unshared(other));
    // What begins with a wildcard means no topic that begins with `$`.
    let (wild, owned) = (|filter: &str| filter.starts_with(['+', '#']), |filter: &str| filter.starts_with('$'));
    if wild(one) && owned(other) || owned(one) && wild(other) {
        return false;
    }
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(a), Some(b)) if a == "+" || b == "+" || a == b => {}
            _ => return false,
        }
    }
}

/// Returns why a filter cannot be subscribed to.
pub(crate) fn filter_error(filter: &str) -> Option<&'static str> {
    if let Some(shared) = filter.strip_prefix(SHARE) {
        return match shared.split_once('/') {
            Some((name, filter)) if !name.is_empty() && !name.contains(['+', '#']) && !filter.is_empty() => filter_error(filter),
            _ => Some("a shared subscription is `$share/NAME/TOPIC`"),
        };
    }
    if filter.is_empty() || filter.len() > usize::from(u16::MAX) || filter.contains('\0') {
        return Some("a topic has 1 to 65,535 bytes, and no NUL");
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Some("`#` stands alone, at the end");
        }
        if level.contains('+') && level != "+" {
            return Some("`+` stands for a whole level");
        }
    }
    None
}

/// Returns why nothing can be published there.
pub(crate) fn topic_error(topic: &str) -> Option<&'static str> {
    if topic.contains(['+', '#']) {
        return Some("a topic that is published to has no `+` and no `#`");
    }
    filter_error(topic)
}

#[cfg(test)]
mod tests {
    use super::{filter_error, matches, overlap, topic_error};

    #[test]
    fn filters_mean_what_the_standard_says() {
        for (filter, topic, wanted) in [
            ("zigbee/+/door", "zigbee/kitchen/door", true),
            ("zigbee/+/door", "zigbee/kitchen/upper/door", false),
            ("zigbee/+", "zigbee", false),
            ("zigbee/+", "zigbee/", true),
            ("zigbee/#", "zigbee", true),
            ("zigbee/#", "zigbee/a/b/c", true),
            ("#", "a/b", true),
            ("#", "$SYS/broker", false),
            ("+/broker", "$SYS/broker", false),
            ("$SYS/#", "$SYS/broker", true),
            ("a/b", "a/B", false),
            ("/a", "a", false),
            ("$share/all/zigbee/+/door", "zigbee/kitchen/door", true),
            ("$share/all/#", "$SYS/broker", false),
            ("$share/all/#", "all/x", true),
            ("$share/all//a", "/a", true),
        ] {
            assert_eq!(matches(filter, topic), wanted, "{filter} {topic}");
        }
        assert!(filter_error("a/#/b").is_some() && filter_error("a#").is_some() && filter_error("a+/b").is_some());
        assert!(filter_error("").is_some() && filter_error("+/#").is_none() && filter_error("a//b").is_none());
        assert!(topic_error("a/+").is_some() && topic_error("a/b").is_none());
        assert!(
            filter_error("$share/a/b").is_none() && filter_error("$share/a").is_some() && filter_error("$share//b").is_some()
        );
        assert!(filter_error("$share/+/b").is_some() && filter_error("$share/a/b#").is_some());
    }

    #[test]
    fn filters_overlap_where_a_topic_is_meant_by_both() {
        for (one, other, wanted) in [
            ("$share/g/a/+", "a/b", true),
            ("$share/g/a/+", "$share/h/a/+", true),
            ("$share/g/a/+", "+/b", true),
            ("a/#", "a", true),
            ("a/+", "a", false),
            ("$share/g/a/+", "b/+", false),
            ("#", "$SYS/x", false),
            ("$share/g/#", "a/b", true),
            ("a/b/c", "a/+/d", false),
        ] {
            assert_eq!((overlap(one, other), overlap(other, one)), (wanted, wanted), "{one} {other}");
        }
    }
}
