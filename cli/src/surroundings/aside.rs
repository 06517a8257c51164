//! Gateways of the Gateway API that no policy, or plugin, of ours is for, and from which routes lead to what
//! the filter guards elsewhere; and other ways to what it guards.

use super::attached::{Backend, backends, is_named, is_of, is_of_parent, parents};
use super::kubernetes::{routes, targets, title};
use super::services::{self, Guarded};
use crate::finding::{Finding, Kind};
use crate::view::{Part, View};

pub(super) fn look_at(view: &View<'_>, policies: &[Part<'_>], findings: &mut Vec<Finding>) {
    let any = |is_it: &dyn Fn(Part<'_>) -> bool| policies.iter().any(|policy| is_it(*policy));
    let guarded = routes(view).filter(|route| any(&|policy| is_of(view, *route, policy)));
    let guarded: Vec<Backend<'_>> = guarded.flat_map(backends).collect();
    let of_service = guarded.iter().filter(|backend| backend.kind == "Service");
    let of_service = of_service.map(|backend| Guarded {
        name: backend.name,
        place: backend.place,
    });
    services::look_at(view, &of_service.collect::<Vec<_>>(), None, findings);
    let mut kinds = policies.iter().flat_map(|policy| targets(*policy));
    // which Gateways are of a class may be in no file
    if kinds.any(|target| target.kind == "GatewayClass") {
        return;
    }
    for route in routes(view).filter(|route| !any(&|policy| is_named(view, *route, policy))) {
        let backends = backends(route);
        let is_guarded = |backend: &&Backend<'_>| guarded.iter().any(|other| other.is(backend));
        let Some(backend) = backends.iter().find(is_guarded) else {
            continue;
        };
        for parent in parents(view, route) {
            if any(&|policy| is_of_parent(view, &parent, policy)) {
                continue;
            }
            findings.push(
                Finding::error(
                    Kind::UnguardedChain,
                    parent.part.spot(),
                    "spec.parentRefs",
                    format!(
                        "{} leads from Gateway {}, which does not have the filter, to {}, which the filter guards elsewhere: whoever reaches that Gateway needs no token",
                        title(route),
                        parent.name,
                        backend.name
                    ),
                )
                .write("the Gateway among the targetRefs of the filter too, or no such route"),
            );
        }
    }
}
