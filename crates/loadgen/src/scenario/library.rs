//! The scenarios that are part of the program, and need no checkout: but for those that start a program of the repository, which
//! say so when it is not there.

/// Name and text of each, in the order in which they are listed.
pub const LIBRARY: [(&str, &str); 16] = [
    ("quick", include_str!("../../../../scenarios/quick.toml")),
    ("ci", include_str!("../../../../scenarios/ci.toml")),
    ("1-instance", include_str!("../../../../scenarios/1-instance.toml")),
    ("4-instances", include_str!("../../../../scenarios/4-instances.toml")),
    ("8-instances", include_str!("../../../../scenarios/8-instances.toml")),
    ("no-database", include_str!("../../../../scenarios/no-database.toml")),
    ("starvation", include_str!("../../../../scenarios/starvation.toml")),
    ("starvation-wsgi", include_str!("../../../../scenarios/starvation-wsgi.toml")),
    ("scaling", include_str!("../../../../scenarios/scaling.toml")),
    ("behind-haproxy", include_str!("../../../../scenarios/behind-haproxy.toml")),
    ("haproxy-weighted", include_str!("../../../../scenarios/haproxy-weighted.toml")),
    ("haproxy-rate-limited", include_str!("../../../../scenarios/haproxy-rate-limited.toml")),
    ("wsgi-1", include_str!("../../../../scenarios/wsgi-1.toml")),
    ("wsgi-4", include_str!("../../../../scenarios/wsgi-4.toml")),
    ("wsgi-8", include_str!("../../../../scenarios/wsgi-8.toml")),
    ("group-commit", include_str!("../../../../scenarios/group-commit.toml")),
];

/// The text of the scenario with this name, `.toml` or not.
pub fn find(name: &str) -> Option<&'static str> {
    let name = name.strip_suffix(".toml").unwrap_or(name);
    LIBRARY.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
