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

/// Returns why a filter cannot be subscribed to.
pub(crate) fn filter_error(filter: &str) -> Option<&'static str> {
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
    use super::{filter_error, matches, topic_error};

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
        ] {
            assert_eq!(matches(filter, topic), wanted, "{filter} {topic}");
        }
        assert!(filter_error("a/#/b").is_some() && filter_error("a#").is_some() && filter_error("a+/b").is_some());
        assert!(filter_error("").is_some() && filter_error("+/#").is_none() && filter_error("a//b").is_none());
        assert!(topic_error("a/+").is_some() && topic_error("a/b").is_none());
    }
}
