//! Fields that a service has given up.

use flow_grammar::span::Span;

use super::super::check::Checker;
use crate::catalog::Field;
use crate::code::Code;

impl Checker<'_> {
    /// Reports a deprecated field of the event.
    pub(super) fn check_deprecated_event(&mut self, field: &Field, span: Span) {
        let instead = field.deprecated.as_ref().and_then(|(_, instead)| instead.as_deref());
        // A local of that name would be read instead.
        let other = instead.filter(|name| self.binding(name).is_none()).and_then(|name| self.event_field(name));
        self.check_deprecated(field, other, span);
    }

    /// Reports a deprecated field; `other` is the field that takes its place.
    pub(super) fn check_deprecated(&mut self, field: &Field, other: Option<&Field>, span: Span) {
        let Some((since, instead)) = &field.deprecated else { return };
        if self.frame.own.is_some() || self.diagnostics.iter().any(|known| known.code == Code::W207 && known.span == span) {
            return;
        }
        let since = if since.is_empty() { String::new() } else { format!(" since {since}") };
        let mut diagnostic = self
            .diagnostic(Code::W207, span, format!("the service has given up `{}`{since}", field.name))
            .label("new events come without it");
        if let Some(instead) = instead {
            // Of another type it may need more than another name.
            let alike = other.is_some_and(|other| other.ty == field.ty);
            diagnostic = diagnostic.fix(format!("`{instead}`"), span, instead.as_str(), alike);
        }
        self.report(diagnostic);
    }
}
