use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn reference(text: &str) -> Reference {
    Reference::parse_normalized(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn what_users_write_becomes_canonical_and_back() {
    for (text, canonical, familiar) in [
        ("ubuntu", "docker.io/library/ubuntu", "ubuntu"),
        ("ubuntu:24.04", "docker.io/library/ubuntu:24.04", "ubuntu:24.04"),
        ("user/app", "docker.io/user/app", "user/app"),
        ("library/ubuntu", "docker.io/library/ubuntu", "ubuntu"),
        ("docker.io/ubuntu", "docker.io/library/ubuntu", "ubuntu"),
        ("index.docker.io/ubuntu:x", "docker.io/library/ubuntu:x", "ubuntu:x"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"),
        ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c"),
        ("[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app"),
        ("[::1]/app", "[::1]/app", "[::1]/app"),
        ("HOST/app", "HOST/app", "HOST/app"),
        ("ghcr.io/Org".to_lowercase().as_str(), "ghcr.io/org", "ghcr.io/org"),
        ("a/b-c__d.e---f", "docker.io/a/b-c__d.e---f", "a/b-c__d.e---f"),
        ("app:_x.Y-1", "docker.io/library/app:_x.Y-1", "app:_x.Y-1"),
        ("host:80/x:80", "host:80/x:80", "host:80/x:80"),
    ] {
        let parsed = reference(text);
        assert_eq!(parsed.to_string(), canonical, "{text}");
        assert_eq!(parsed.familiar(), familiar, "{text}");
        assert_eq!(reference(canonical), parsed, "{canonical}");
        assert_eq!(reference(familiar), parsed, "{familiar}");
    }
}

#[test]
fn a_tag_stays_beside_a_digest() {
    let parsed = reference(&format!("ubuntu:24.04@{DIGEST}"));
    assert_eq!(parsed.tag(), Some("24.04"));
    assert_eq!(parsed.digest().unwrap().as_str(), DIGEST);
    assert_eq!(parsed.to_string(), format!("docker.io/library/ubuntu:24.04@{DIGEST}"));
    assert_eq!(parsed.clone().with_default_tag(), parsed);
}

#[test]
fn latest_is_only_added_to_a_bare_name() {
    assert_eq!(reference("x").with_default_tag().tag(), Some("latest"));
    assert_eq!(reference("x:1").with_default_tag().tag(), Some("1"));
    let by_digest = reference(&format!("x@{DIGEST}")).with_default_tag();
    assert_eq!(by_digest.tag(), None);
    assert_eq!(reference("x:1").with_digest(DIGEST.parse().unwrap()), by_digest);
    assert_eq!(by_digest.with_tag("2").unwrap().to_string(), "docker.io/library/x:2");
    assert_eq!(by_digest.without_tag_or_digest().to_string(), "docker.io/library/x");
    assert!(by_digest.with_tag("-").is_err());
}

#[test]
fn what_docker_refuses_is_refused() {
    let long_path = "a".repeat(256);
    let long_tag = format!("x:{}", "t".repeat(129));
    for bad in [
        "",
        "/",
        ":tag",
        "x:",
        "x@",
        "@sha256:00",
        "Ubuntu",
        "user/App",
        "http://x/y",
        "a//b",
        "a/b/",
        "/a",
        "-x",
        "x-",
        "x_",
        "a___b",
        "a..b",
        "a._b",
        "x:ta g",
        "x:-t",
        "x y",
        "host:port/x",
        "-host.example/x",
        "host./x",
        "[::1/x",
        "[]/x",
        "x@sha256:e3b0",
        "x@md5:d41d8cd98f00b204e9800998ecf8427e",
        "x@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855@",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "ä",
        "x:ä",
        "x\0",
        "../x",
        "a/../b",
        &long_path,
        &long_tag,
    ] {
        let error = Reference::parse_normalized(bad).expect_err(bad);
        assert!(error.to_string().starts_with("invalid reference format"), "{error}");
    }
    assert!(Reference::parse_normalized("user/App").unwrap_err().to_string().contains("must be lowercase"));
}

#[test]
fn an_id_with_a_tag_is_a_name() {
    assert_eq!(reference(&format!("{}:1", &DIGEST[7..])).path(), format!("library/{}", &DIGEST[7..]));
}

proptest::proptest! {
    #[test]
    fn nothing_panics_and_what_parses_is_stable(text in "[a-zA-Z0-9._:/@\\[\\]-]{0,40}") {
        if let Ok(parsed) = Reference::parse_normalized(&text) {
            let again = Reference::parse_normalized(&parsed.to_string());
            proptest::prop_assert_eq!(again.as_ref(), Ok(&parsed));
            let familiar = Reference::parse_normalized(&parsed.familiar());
            // Sixty-four hex digits are a name only with a tag or a digest.
            proptest::prop_assert!(familiar.is_err() || familiar == Ok(parsed));
        }
    }
}
