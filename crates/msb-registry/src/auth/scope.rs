//! Which access a token is asked for.

use msb_oci::Reference;

use crate::exchange::request::Access;

/// The longest scope of a challenge that is considered, in bytes.
const MAX_SCOPE_BYTES: usize = 2048;
/// The largest number of resources in it.
const MAX_RESOURCES: usize = 8;

/// Returns the scopes for `access` to the repository of `reference`, separated by blanks.
pub(super) fn own_scope(reference: &Reference, access: &Access) -> String {
    let repository = reference.repository();
    match access {
        Access::Pull => format!("repository:{repository}:pull"),
        Access::Push { from: None } => format!("repository:{repository}:pull,push"),
        Access::Push { from: Some(from) } => {
            format!("repository:{repository}:pull,push repository:{from}:pull")
        }
    }
}

/// Returns the scopes to ask the token service for.
///
/// The scope of the challenge counts if it is well-formed and grants the access to a repository, under whatever name: a
/// registry may keep it under another one. What it offers beyond the access is left out. Otherwise the scopes are those of `own`, or
/// none where `own` is empty.
pub(super) fn scopes(challenge: Option<&str>, own: &str, access: &Access) -> Vec<String> {
    let writes = *access != Access::Pull;
    let scopes = challenge
        .and_then(|challenge| parse(challenge, writes))
        .unwrap_or_default();
    if own.is_empty() {
        Vec::new()
    } else if scopes.is_empty() {
        own.split(' ').map(str::to_owned).collect()
    } else {
        scopes
    }
}

/// Parses the resources of a scope. Returns `None` if any of them is malformed, or if one to write to is needed and missing.
fn parse(scope: &str, writes: bool) -> Option<Vec<String>> {
    if scope.len() > MAX_SCOPE_BYTES {
        return None;
    }
    let resources: Vec<&str> = scope.split(' ').filter(|part| !part.is_empty()).collect();
    if resources.len() > MAX_RESOURCES {
        return None;
    }
    let mut scopes = Vec::new();
    let mut can_write = false;
    for resource in resources {
        // A name may hold a colon, in a host and port before its path.
        let (kind, rest) = resource.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        if !is_kind(kind) || !is_name(name) || !actions.split(',').all(is_action) {
            return None;
        }
        let is_repository = kind == "repository" || kind.starts_with("repository(");
        let grants = |action: &str| {
            actions
                .split(',')
                .any(|found| found == action || found == "*")
        };
        if is_repository && (grants("pull") || (writes && grants("push"))) {
            can_write |= grants("push");
            scopes.push(format!("{kind}:{name}:{}", needed(actions, writes)));
        }
    }
    (can_write || !writes).then_some(scopes)
}

/// Returns the actions that are asked for: without those that change something, or with `push`.
fn needed(actions: &str, writes: bool) -> String {
    let all = if writes { "pull,push" } else { "pull" };
    let mut kept: Vec<&str> = Vec::new();
    let actions = actions.split(',').flat_map(|action| match action {
        "*" => all.split(','),
        other => other.split(','),
    });
    for action in actions {
        let is_needed = match action {
            "push" => writes,
            "delete" => false,
            _ => true,
        };
        if is_needed && !kept.contains(&action) {
            kept.push(action);
        }
    }
    kept.join(",")
}

fn is_kind(kind: &str) -> bool {
    let (name, class) = match kind.strip_suffix(')').and_then(|kind| kind.split_once('(')) {
        Some((name, class)) => (name, Some(class)),
        None => (kind, None),
    };
    let is_word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    is_word(name) && class.is_none_or(is_word)
}

/// Returns whether the text is the path components of a repository, optionally after a host with its port.
fn is_name(name: &str) -> bool {
    let (first, rest) = name.split_once('/').unwrap_or((name, ""));
    let host = first.split_once(':').filter(|_| !rest.is_empty());
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let is_component = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    match host {
        Some((host, port)) => {
            is_component(host) && is_port(port) && rest.split('/').all(is_component)
        }
        None => name.split('/').all(is_component),
    }
}

fn is_action(action: &str) -> bool {
    action == "*"
        || !action.is_empty() && action.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "repository:virtual/team/app:pull";

    #[test]
    fn a_well_formed_scope_of_the_challenge_counts() {
        for (challenge, expected) in [
            ("repository:team/app:pull", "repository:team/app:pull"),
            ("repository:team/app:pull,push", "repository:team/app:pull"),
            ("repository:team/app:*", "repository:team/app:pull"),
            ("repository:team/app:pull,*", "repository:team/app:pull"),
            (
                "repository:team/app:metadata_read,pull",
                "repository:team/app:metadata_read,pull",
            ),
            (
                "repository(plugin):team/app:pull",
                "repository(plugin):team/app:pull",
            ),
            (
                "repository:host.example:5000/a/b:pull",
                "repository:host.example:5000/a/b:pull",
            ),
            ("registry:catalog:* repository:a:pull", "repository:a:pull"),
        ] {
            assert_eq!(
                scopes(Some(challenge), OWN, &Access::Pull),
                [expected],
                "{challenge}"
            );
        }
        let two = "repository:a:pull repository:b/c:pull,push";
        assert_eq!(
            scopes(Some(two), OWN, &Access::Pull),
            ["repository:a:pull", "repository:b/c:pull"]
        );
    }

    #[test]
    fn other_scopes_give_way_to_our_own() {
        assert_eq!(scopes(None, OWN, &Access::Pull), [OWN]);
        for odd in [
            "",
            "pull",
            "repository:a",
            "repository::pull",
            "repository:A/B:pull",
            "repository:a//b:pull",
            "repository:a:",
            "repository:a:pull,",
            "repository:a:PULL",
            "repository:a:push",
            "registry:catalog:*",
            "repository:a:pull\u{7f}",
            "repository:a&scope=b:pull",
            "repository:a:pull nonsense",
        ] {
            assert_eq!(scopes(Some(odd), OWN, &Access::Pull), [OWN], "{odd}");
        }
        let long = format!("repository:{}:pull", "a".repeat(MAX_SCOPE_BYTES));
        assert_eq!(scopes(Some(&long), OWN, &Access::Pull), [OWN]);
    }

    #[test]
    fn our_own_scope_reads_one_repository() {
        let reference = "ghcr.io/a/b:c".parse().unwrap();
        assert_eq!(own_scope(&reference, &Access::Pull), "repository:a/b:pull");
    }

    #[test]
    fn a_push_asks_for_push_and_never_for_delete() {
        let push = Access::Push { from: None };
        let own = own_scope(&"ghcr.io/a/b:c".parse().unwrap(), &push);
        assert_eq!(own, "repository:a/b:pull,push");
        for (challenge, expected) in [
            ("repository:x:pull,push", "repository:x:pull,push"),
            ("repository:x:push", "repository:x:push"),
            ("repository:x:*", "repository:x:pull,push"),
            ("repository:x:delete,pull,push", "repository:x:pull,push"),
            // Would not grant the access that is needed.
            ("repository:x:pull", "repository:a/b:pull,push"),
            ("nonsense", "repository:a/b:pull,push"),
        ] {
            assert_eq!(
                scopes(Some(challenge), &own, &push),
                [expected],
                "{challenge}"
            );
        }
        let from = Some("c/d".to_owned());
        let mount = Access::Push { from };
        let own = own_scope(&"ghcr.io/a/b:c".parse().unwrap(), &mount);
        assert_eq!(
            scopes(None, &own, &mount),
            ["repository:a/b:pull,push", "repository:c/d:pull"]
        );
    }
}
