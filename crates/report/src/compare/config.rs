//! In which keys do two configurations differ?

use std::collections::{BTreeMap, BTreeSet};

/// Last parts of configuration keys that are no part of the plan's key: they never make two plans different.
const NO_DIFFERENCE: [&str; 5] = ["seed", "port", "path", "label", "workers"];

pub(super) fn without_ports(config: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    config.iter().map(|(key, value)| (key.clone(), without_port(value))).collect()
}

/// `http://host:8080/path` as `http://host/path`; anything else as it is.
fn without_port(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_port = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => authority,
    };
    format!("{scheme}://{host}{path}")
}

pub(super) fn makes_a_difference(key: &str) -> bool {
    !NO_DIFFERENCE.contains(&key.rsplit('.').next().unwrap_or(key))
}

/// Keys that one has and the other has not, or has otherwise.
pub(super) fn differing(left: &BTreeMap<String, String>, right: &BTreeMap<String, String>) -> Vec<String> {
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    keys.into_iter().filter(|key| left.get(*key) != right.get(*key)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_no_part_of_a_url() {
        let cases = [
            ("http://127.0.0.1:8080/echo", "http://127.0.0.1/echo"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://[::1]/a:1", "http://[::1]/a:1"),
            ("https://host/a:80", "https://host/a:80"),
            ("10s", "10s"),
        ];
        for (value, expected) in cases {
            assert_eq!(without_port(value), expected);
        }
    }
}
