//! `expect …`.

use flow_grammar::syntax::{Ident, NumberLit, ObjectField, TextLit};
use flow_plan::{ExpectedStatus, TestAction};

use super::super::check::Checker;

impl Checker<'_> {
    pub(super) fn expect_calls(&mut self, path: &[Ident], times: Option<&NumberLit>, with: &[ObjectField]) -> Option<TestAction> {
        let target = self.tested_operation(path)?;
        let times = match times {
            Some(times) => Some(self.times(times)?),
            None => None,
        };
        let mut values = Vec::new();
        let mut sound = true;
        for field in with {
            let Some(input) = target.operation.inputs.iter().find(|input| input.name == field.key.text) else {
                let of = format!("`{}`", target.name());
                self.no_such_key(field, &of, target.operation.inputs.iter().map(|input| input.name.as_str()));
                sound = false;
                continue;
            };
            let value = self
                .within_json(target.connector, target.operation, &input.name, |checker| checker.field_constant(field, &input.ty));
            match value {
                Some(value) => values.push((input.name.clone(), value)),
                None => sound = false,
            }
        }
        sound.then(|| TestAction::Calls { target: target.name(), times, with: values })
    }

    pub(super) fn expect_run(&mut self, status: &Ident, reason: Option<&TextLit>) -> Option<TestAction> {
        let status = match status.text.as_str() {
            "dead" => ExpectedStatus::Dead,
            "stopped" => ExpectedStatus::Stopped,
            _ => ExpectedStatus::Done,
        };
        let reason = match reason {
            Some(reason) => Some(self.plain(reason, "a reason")?),
            None => None,
        };
        Some(TestAction::Run { status, reason })
    }
}
