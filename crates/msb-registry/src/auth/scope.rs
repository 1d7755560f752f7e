//! Which access a token is asked for.

use msb_oci::Reference;

/// The longest scope of a challenge that is considered, in bytes.
const MAX_SCOPE_BYTES: usize = 2048;
/// The largest number of resources in it.
const MAX_RESOURCES: usize = 8;

/// Returns the scope for reading the repository of `reference`.
pub(super) fn own_scope(reference: &Reference) -> String {
    format!("repository:{}:pull", reference.repository())
}

/// Returns the scopes to ask the token service for.
///
/// The scope of the challenge counts if it is well-formed and grants read access to a repository, under whatever name: a
/// registry may keep it under another one. What it offers beyond reading is left out. Otherwise the scope is `own`, or none where
/// `own` is empty.
pub(super) fn scopes(challenge: Option<&str>, own: &str) -> Vec<String> {
    let scopes = challenge.and_then(parse).unwrap_or_default();
    if own.is_empty() {
        Vec::new()
    } else if scopes.is_empty() {
        vec![own.to_owned()]
    } else {
        scopes
    }
}

/// Parses the resources of a scope; `None` if any of them is malformed.
fn parse(scope: &str) -> Option<Vec<String>> {
    if scope.len() > MAX_SCOPE_BYTES {
        return None;
    }
    let resources: Vec<&str> = scope.split(' ').filter(|part| !part.is_empty()).collect();
    if resources.len() > MAX_RESOURCES {
        return None;
    }
    let mut scopes = Vec::new();
    for resource in resources {
        // A name may hold a colon, in a host and port before its path.
        let (kind, rest) = resource.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        if !is_kind(kind) || !is_name(name) || !actions.split(',').all(is_action) {
            return None;
        }
        let is_repository = kind == "repository" || kind.starts_with("repository(");
        let can_read = actions
            .split(',')
            .any(|action| matches!(action, "pull" | "*"));
        if is_repository && can_read {
            scopes.push(format!("{kind}:{name}:{}", reading(actions)));
        }
    }
    Some(scopes)
}

/// Returns the actions without those that change something.
fn reading(actions: &str) -> String {
    let mut kept: Vec<&str> = actions
        .split(',')
        .map(|action| if action == "*" { "pull" } else { action })
        .filter(|action| !matches!(*action, "push" | "delete"))
        .collect();
    kept.dedup();
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
            assert_eq!(scopes(Some(challenge), OWN), [expected], "{challenge}");
        }
        let two = "repository:a:pull repository:b/c:pull,push";
        assert_eq!(
            scopes(Some(two), OWN),
            ["repository:a:pull", "repository:b/c:pull"]
        );
    }

    #[test]
    fn other_scopes_give_way_to_our_own() {
        assert_eq!(scopes(None, OWN), [OWN]);
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
            assert_eq!(scopes(Some(odd), OWN), [OWN], "{odd}");
        }
        let long = format!("repository:{}:pull", "a".repeat(MAX_SCOPE_BYTES));
        assert_eq!(scopes(Some(&long), OWN), [OWN]);
    }

    #[test]
    fn our_own_scope_reads_one_repository() {
        let reference = "ghcr.io/a/b:c".parse().unwrap();
        assert_eq!(own_scope(&reference), "repository:a/b:pull");
    }
}
