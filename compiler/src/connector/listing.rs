//! Lists that a query makes of several pages: their order, and what of them is asked for.

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, HttpOperation, OperationLine, OperationLineKind};
use flow_plan::Listing;
use flow_plan::ty::Type;

use super::Cx;
use super::types::WireType;
use super::wire::{Place, Scope};
use crate::catalog::Input;
use crate::code::Code;

impl Cx<'_> {
    /// One line about the list of a query.
    pub(super) fn list_line(&mut self, line: &OperationLine, inputs: &[Input], listing: &mut Listing) {
        let scope = Scope::new(Place::Request, inputs);
        match &line.kind {
            OperationLineKind::Pages { param, from, of, more } => {
                listing.pages = self.pages(param, from, of.as_ref(), more.as_ref());
            }
            OperationLineKind::Order(order) => listing.order = Some(self.order(order)),
            OperationLineKind::Codes(codes) => listing.codes = Some(self.codes(codes)),
            OperationLineKind::Only(kind) => listing.only = Some(self.plain(kind, "the type of an item")),
            OperationLineKind::Since(since) => {
                let typed = self.wire(since, &scope);
                self.expect(since.span, &typed.ty, &Type::DateTime);
                listing.since = Some(typed.expr);
            }
            OperationLineKind::UpTo(most) => {
                let typed = self.wire(most, &scope);
                self.expect(most.span, &typed.ty, &Type::Int(None));
                listing.up_to = Some(typed.expr);
            }
            _ => {}
        }
    }

    fn expect(&mut self, span: Span, found: &Type, wanted: &Type) {
        let fits = match (found.required(), wanted) {
            (Type::Unknown, _) | (Type::Int(_), Type::Int(_)) => true,
            (found, wanted) => found == wanted,
        };
        if !fits {
            self.push(self.diagnostic(Code::E301, span, format!("expected {wanted}, found {}", found.required())));
        }
    }

    /// The lines about a list, together. `None` where there are none.
    pub(super) fn listing(
        &mut self,
        node: &syntax::Operation,
        http: &HttpOperation,
        listing: Listing,
        output: Option<&WireType>,
    ) -> Option<Listing> {
        if listing == Listing::default() {
            return None;
        }
        let span = http.lines.iter().find(|line| is_of_list(&line.kind)).map_or(node.name.span, |line| line.span);
        let types = |listing: &Listing| listing.codes.as_ref().map(|codes| codes.types.keys().cloned().collect::<Vec<_>>());
        let unknown = |listing: &Listing| match (&listing.only, types(listing)) {
            (Some(only), Some(known)) => !known.contains(only),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let problem = if node.action {
            Some(("only a query lists what several pages hold", "make it a `query`, or leave this line out"))
        } else if !output.is_some_and(|output| matches!(output.ty, Type::List(_))) {
            Some(("its result is no list", "make it one: `-> list<Invoice>`"))
        } else if unknown(&listing) {
            Some(("`only` names no type that has codes", "add `codes \"type\" { locked: 1, 6 }`: which numbers mean it"))
        } else if listing.order.is_none()
            && (listing.since.is_some() || listing.codes.as_ref().is_some_and(|codes| codes.collapse))
        {
            Some(("when did each item happen?", "add `order newest by \"created\" unix`: where that stands"))
        } else {
            None
        };
        if let Some((message, help)) = problem {
            let diagnostic = self.mistake(span, message);
            self.push(diagnostic.help(help));
        }
        Some(listing)
    }
}

fn is_of_list(kind: &OperationLineKind) -> bool {
    matches!(
        kind,
        OperationLineKind::Pages { .. }
            | OperationLineKind::Order(_)
            | OperationLineKind::Codes(_)
            | OperationLineKind::Only(_)
            | OperationLineKind::Since(_)
            | OperationLineKind::UpTo(_)
    )
}
