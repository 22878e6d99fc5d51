//! Harmless requests that tell whether the credentials of a connection work.

use flow_grammar::span::Span;
use flow_grammar::syntax::{HttpOperation, MemberKind, OperationLineKind};
use flow_plan::{Answer, Effect, Operation, Request, SEND, Shape, Signature};

use super::Cx;
use super::operation::Refused;
use super::wire::{Place, Scope};

impl Cx<'_> {
    /// Declares every `check`. There may be several, since some services have a key for each of their parts.
    pub(super) fn declare_checks(&mut self) -> Vec<Operation> {
        let node = self.node;
        let mut checks = Vec::new();
        for member in &node.members {
            match &member.kind {
                MemberKind::Check(http) => checks.push(self.check(http)),
                MemberKind::CheckVia => checks.extend(self.check_way(member.span)),
                _ => {}
            }
        }
        checks
    }

    /// `check via`: the way to the service, without sending anything.
    fn check_way(&mut self, span: Span) -> Option<Operation> {
        self.greeted(span)?;
        let request = Request { method: SEND.to_owned(), ..Request::default() };
        Some(self.operation_of_check(request, Answer::default(), Vec::new()))
    }

    fn check(&mut self, http: &HttpOperation) -> Operation {
        let method = &http.request.method;
        if !matches!(method.text.as_str(), "GET" | "HEAD") {
            let diagnostic = self.mistake(method.span, "a check changes nothing");
            self.push(diagnostic.help("ask for something with `GET`, such as the account itself"));
        }
        let request = self.request(&http.request, &Scope::new(Place::Request, &[]));
        // Whatever it tells: what is no JSON comes from somebody else.
        let mut answer = Answer { shape: Some(Shape::Json), refused_when: self.refused_when.clone(), ..Answer::default() };
        let mut sign = Vec::new();
        let scope = Scope::checked();
        for line in &http.lines {
            match &line.kind {
                OperationLineKind::At(path) => answer.at = self.path(path),
                OperationLineKind::RefusedWhen(when, because) => {
                    self.refused(&mut answer, Refused::When(when), because.as_ref(), &scope);
                }
                OperationLineKind::RefusedUnless(unless, because) => {
                    self.refused(&mut answer, Refused::Unless(unless), because.as_ref(), &scope);
                }
                OperationLineKind::NoneOn(statuses) => {
                    answer.none_on = self.statuses(statuses);
                    answer.optional = true;
                }
                OperationLineKind::Answer(form) => answer.form = self.answer_form(form),
                OperationLineKind::Sign(fields) => sign = self.sign(fields, &request, &[]),
                OperationLineKind::NoneWhen(_)
                | OperationLineKind::First(_)
                | OperationLineKind::Effect(_)
                | OperationLineKind::Confirm { .. }
                | OperationLineKind::Emits(_)
                | OperationLineKind::RetryOn(_)
                | OperationLineKind::OneOf(_)
                | OperationLineKind::WarnUnless { .. }
                | OperationLineKind::Refuse { .. }
                | OperationLineKind::RetryAfter(_)
                | OperationLineKind::DoneOn(_)
                | OperationLineKind::Timeout(_)
                | OperationLineKind::BodyUpTo(_)
                | OperationLineKind::OnceMore
                | OperationLineKind::RetryNever
                | OperationLineKind::Pages { .. }
                | OperationLineKind::Order(_)
                | OperationLineKind::Codes(_)
                | OperationLineKind::Only(_)
                | OperationLineKind::Since(_)
                | OperationLineKind::UpTo(_) => {
                    let diagnostic = self.mistake(line.span, "this says nothing about a check");
                    self.push(
                        diagnostic.help("a check has `answer`, `at`, `none on`, `refused when`, `refused unless` and `sign`"),
                    );
                }
            }
        }
        self.operation_of_check(request, answer, sign)
    }

    fn operation_of_check(&self, request: Request, answer: Answer, sign: Vec<Signature>) -> Operation {
        Operation {
            name: format!("{}.check", self.node.name.text),
            inputs: Vec::new(),
            request,
            answer,
            effect: Effect::Read,
            retry_on: Vec::new(),
            emits: Vec::new(),
            sign,
            confirm: None,
            peculiar: Box::default(),
            listing: None,
        }
    }
}
