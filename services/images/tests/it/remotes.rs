//! The registry client alone.

use std::time::{Duration, Instant};

use gantry_distribution::{Access, Client, Credentials, Error, Reason, Repository, Settings};
use gantry_rpc::{Code, Coded};
use gantry_types::Digest;

use crate::bundle::{Bundle, noise};
use crate::liar::{Answer, Liar, honest, unknown};
use crate::registry::{Guard, Registry, fixture};

fn settings() -> Settings {
    Settings {
        certificate_directories: Vec::new(),
        idle_timeout: Duration::from_millis(300),
        connect_timeout: Duration::from_secs(2),
        ..Settings::default()
    }
}

fn repository(domain: &str) -> Repository {
    let remote = Client::new(settings());
    remote.repository(domain, "team/app", Credentials::Anonymous, Access::Pull).expect("an address")
}

fn ada() -> Credentials {
    Credentials::Basic { username: "ada".into(), password: "lovelace".into() }
}

async fn read(repository: &Repository, digest: &Digest, size: usize, offset: u64) -> Result<Vec<u8>, Error> {
    let mut body = repository.blob(digest, size as u64, offset);
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_real_registry_takes_and_gives_images() {
    let registry = Registry::start(Guard::Open);
    let bundle = Bundle::new(1, 100_000);
    let remote = Client::new(settings());
    bundle.push(&remote, &registry.domain(), "team/app", "1", Credentials::Anonymous).await;

    let repository = repository(&registry.domain());
    let head = repository.head("1").await.expect("there").expect("a registry that states digests");
    assert_eq!(head.digest, bundle.manifest.digest());
    let manifest = repository.manifest("1", Some(&head.digest)).await.expect("there");
    assert_eq!(manifest.bytes, bundle.manifest.bytes);
    assert_eq!(repository.tags().await.expect("listed"), ["1"]);
    for layer in &bundle.layers {
        let bytes = read(&repository, &layer.digest(), layer.bytes.len(), 7).await.expect("served");
        assert_eq!(bytes, layer.bytes[7..], "a range");
    }
    let other = remote.repository(&registry.domain(), "team/other", Credentials::Anonymous, Access::Push);
    let other = other.expect("an address");
    let layer = bundle.layers[0].digest();
    assert!(!other.has_blob(&layer).await.expect("answered"));
    other.mount(&layer, "team/app").await.expect("answered");
    assert!(other.has_blob(&layer).await.expect("answered"), "mounted");

    let error = repository.manifest("2", None).await.expect_err("no such tag");
    assert_eq!(error.code(), Code::NotFound);
    assert!(gantry_rpc::chain(&error).contains("manifest unknown"), "{}", gantry_rpc::chain(&error));
}

#[tokio::test]
async fn a_password_is_demanded_and_taken() {
    let registry = Registry::start(Guard::Password);
    let remote = Client::new(settings());
    let bundle = Bundle::new(2, 1000);
    bundle.push(&remote, &registry.domain(), "team/app", "1", ada()).await;
    let open = |credentials| {
        remote.repository(&registry.domain(), "team/app", credentials, Access::Pull).expect("an address")
    };
    open(ada()).manifest("1", None).await.expect("let in");
    open(ada()).ping().await.expect("let in");
    let wrong = Credentials::Basic { username: "ada".into(), password: "x".into() };
    // Clients prompt for a password if they are told that they are not known, which does not help if there is none to
    // give.
    for (credentials, code) in [(Credentials::Anonymous, Code::Internal), (wrong, Code::Unauthenticated)] {
        let error = open(credentials).manifest("1", None).await.expect_err("kept out");
        assert_eq!(error.code(), code, "{error}");
    }
}

#[tokio::test]
async fn a_private_ca_is_trusted_when_it_is_put_there() {
    for (certificate, ca) in [("server", "ca.crt"), ("self", "self.crt")] {
        let registry = Registry::start(Guard::Tls(certificate));
        let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
        let place = directory.path().join(format!("localhost:{}", registry.port));
        let settings = Settings { certificate_directories: vec![directory.path().to_owned()], ..settings() };
        let remote = Client::new(settings);
        let domain = format!("localhost:{}", registry.port);
        let open =
            || remote.repository(&domain, "team/app", ada(), Access::Push).expect("readable certificates");
        open().ping().await.expect("on loopback anybody is trusted");

        std::fs::create_dir(&place).expect("made");
        let wrong = if certificate == "server" { "self.crt" } else { "ca.crt" };
        std::fs::copy(fixture(wrong), place.join("ca.crt")).expect("copied");
        let error = open().ping().await.expect_err("with a CA on disk its certificate is demanded");
        assert_eq!(error.code(), Code::Unavailable, "{}", gantry_rpc::chain(&error));

        std::fs::copy(fixture(ca), place.join("ca.crt")).expect("copied");
        open().ping().await.expect("trusted now, without a restart");
        Bundle::new(3, 1000).push(&remote, &domain, "team/app", "1", ada()).await;

        std::fs::write(
            place.join("ca.crt"),
            "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n",
        )
        .expect("written");
        let error = remote.repository(&domain, "x", ada(), Access::Pull).expect_err("unusable");
        assert!(error.to_string().contains("ca.crt"), "{error}");
    }
}

#[tokio::test]
async fn broken_bodies_go_on_from_the_last_byte() {
    let bundle = Bundle::new(4, 50_000);
    let honest = honest(std::slice::from_ref(&bundle));
    let mut times = 0;
    let liar = Liar::start(move |asked| {
        let answer = honest(asked);
        times += 1;
        match times {
            1 => Answer::new(503, ""),
            2 => answer.cut(10_000),
            3 => Answer::new(429, "").header("retry-after", 0),
            4 => answer.cut(1),
            5 => Answer::hang(),
            _ => answer,
        }
    })
    .await;
    let layer = &bundle.layers[2];
    let bytes =
        read(&repository(&liar.domain()), &layer.digest(), layer.bytes.len(), 0).await.expect("in the end");
    assert_eq!(bytes, layer.bytes);
    let asked = liar.asked.lock();
    let ranges: Vec<_> = asked.iter().map(|asked| asked.headers.get("range").map(String::as_str)).collect();
    assert_eq!(
        ranges,
        [None, None, Some("bytes=10000-"), Some("bytes=10000-"), Some("bytes=10001-"), Some("bytes=10001-")]
    );
}

#[tokio::test]
async fn a_server_without_ranges_is_skipped_through() {
    let bytes = noise(1, 20_000);
    let (digest, body) = (Digest::sha256(&bytes), bytes.clone());
    let liar = Liar::start(move |_| Answer::new(200, body.clone())).await;
    let read = read(&repository(&liar.domain()), &digest, bytes.len(), 15_000).await.expect("served");
    assert_eq!(read, bytes[15_000..]);
}

#[tokio::test]
async fn hopeless_registries_are_given_up_in_time() {
    let began = Instant::now();
    for answer in
        [Answer::hang(), Answer::new(500, "<html>"), Answer::new(429, "").header("retry-after", 9999)]
    {
        let expected = answer.clone();
        let liar = Liar::start(move |_| answer.clone()).await;
        let error = repository(&liar.domain()).manifest("1", None).await.expect_err("hopeless");
        assert_eq!(error.code(), Code::Unavailable, "{expected:?}");
        let Error::Failed(failure) = error else { panic!("{error}") };
        assert!(matches!(failure.reason, Reason::Silent(_) | Reason::Overloaded { .. }), "{failure}");
        assert!(failure.to_string().contains("manifest 1 of team/app"), "{failure}");
    }
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn wrong_lengths_and_digests_are_clear_errors() {
    let bundle = Bundle::new(5, 5000);
    let layer = bundle.layers[0].clone();
    let longer = [&layer.bytes[..], b"more"].concat();
    let liar = Liar::start(move |asked| match asked.path.contains("/blobs/") {
        true => Answer::new(200, longer.clone()),
        false => Answer::new(200, r#"{"schemaVersion":2,"config":{}}"#)
            .header("content-type", "application/vnd.oci.image.manifest.v1+json"),
    })
    .await;
    let repository = repository(&liar.domain());
    let error = read(&repository, &layer.digest(), layer.bytes.len(), 0).await.expect_err("too long");
    assert!(matches!(error, Error::WrongSize { .. }), "{error}");
    let error =
        repository.manifest("1", Some(&bundle.manifest.digest())).await.expect_err("another manifest");
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    assert_eq!(error.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_manifest_without_end_is_refused() {
    for stated in [true, false] {
        let liar = Liar::start(move |_| match stated {
            true => Answer::new(200, vec![b' '; 5 << 20]).header("content-length", 100 << 20),
            // The length shows only while it comes.
            false => Answer::chunked(vec![b' '; 5 << 20]),
        })
        .await;
        let error = repository(&liar.domain()).manifest("1", None).await.expect_err("too large");
        assert!(matches!(error, Error::ManifestTooLarge { .. }), "{error:?}");
        assert!(error.to_string().contains("larger than the 4194304 bytes"), "{error}");
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_and_renewed_when_refused() {
    let bundle = Bundle::new(6, 1000);
    let honest = honest(std::slice::from_ref(&bundle));
    let mut tokens = 0;
    let liar = Liar::start(move |asked| {
        let port = asked.headers.get("host").cloned().unwrap_or_default();
        if asked.path.starts_with("/token?") {
            tokens += 1;
            return Answer::new(200, format!(r#"{{"token":"t{tokens}","expires_in":300}}"#));
        }
        let good = if asked.path.contains("/blobs/") { "Bearer t2" } else { "Bearer t1" };
        match asked.headers.get("authorization").map(String::as_str) {
            Some(token) if token == good => honest(asked),
            _ => Answer::new(401, "").header(
                "www-authenticate",
                format!(
                    r#"Bearer realm="http://{port}/token",service="tests",scope="repository:team/app:pull""#
                ),
            ),
        }
    })
    .await;
    let remote = Client::new(settings());
    let repository = remote.repository(&liar.domain(), "team/app", ada(), Access::Pull).expect("an address");
    repository.manifest("0", None).await.expect("with the first token");
    repository.head("0").await.expect("with the same token");
    assert_eq!(liar.count("GET", "/token?"), 1);
    let layer = &bundle.layers[0];
    read(&repository, &layer.digest(), layer.bytes.len(), 0).await.expect("with the second token");
    assert_eq!(liar.count("GET", "/token?"), 2);
    let asked = liar.asked.lock();
    let token = asked.iter().find(|asked| asked.path.starts_with("/token?")).expect("asked");
    assert!(
        token.path.contains("scope=repository%3Ateam%2Fapp%3Apull&service=tests&account=ada"),
        "{}",
        token.path
    );
    assert_eq!(token.headers.get("authorization").map(String::as_str), Some("Basic YWRhOmxvdmVsYWNl"));
}

#[tokio::test]
async fn a_login_is_the_registrys_alone_and_for_no_repository() {
    let mirror = Liar::start(|_| Answer::new(200, "{}")).await;
    let registry = Liar::start(|asked| {
        let host = asked.headers.get("host").cloned().unwrap_or_default();
        match asked.headers.get("authorization").map(String::as_str) {
            Some("Bearer t") => Answer::new(200, "{}"),
            // Ada's.
            Some("Basic YWRhOmxvdmVsYWNl") if asked.path.starts_with("/token") => {
                Answer::new(200, r#"{"token":"t"}"#)
            }
            _ if asked.path.starts_with("/token") => Answer::new(401, ""),
            _ => Answer::new(401, "")
                .header("www-authenticate", format!(r#"Bearer realm="http://{host}/token",service="tests""#)),
        }
    })
    .await;
    let mut settings = settings();
    settings.mirrors.insert(registry.domain(), vec![format!("http://{}", mirror.domain())]);
    let remote = Client::new(settings);
    let login = |credentials| {
        remote.repository(&registry.domain(), "", credentials, Access::Login).expect("an address")
    };
    login(ada()).ping().await.expect("let in");
    let wrong = Credentials::Basic { username: "ada".into(), password: "x".into() };
    let error = login(wrong).ping().await.expect_err("kept out");
    assert_eq!(error.code(), Code::Unauthenticated, "{error}");
    assert_eq!(mirror.count("GET", "/"), 0);
    assert_eq!(registry.count("GET", "scope="), 0);
}

#[tokio::test]
async fn a_list_of_tags_that_does_not_come_is_given_up() {
    let liar = Liar::start(|_| Answer::new(200, r#"{"tags":"#).header("content-length", 100)).await;
    let repository = repository(&liar.domain());
    let listed = tokio::time::timeout(Duration::from_secs(5), repository.tags()).await;
    let error = listed.expect("in time").expect_err("nothing more comes");
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}

#[tokio::test]
async fn a_mirror_that_does_not_answer_is_tried_once() {
    let bundle = Bundle::new(8, 1000);
    let registry = Liar::start(honest(std::slice::from_ref(&bundle))).await;
    let mirror = Liar::start(|_| Answer::new(503, "")).await;
    let mut settings = settings();
    settings.mirrors.insert(registry.domain(), vec![format!("http://{}", mirror.domain())]);
    let remote = Client::new(settings);
    let repository =
        remote.repository(&registry.domain(), "team/app", ada(), Access::Pull).expect("an address");
    repository.manifest("0", None).await.expect("from the registry");
    assert_eq!(mirror.count("GET", "/manifests/0"), 1);
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_forgiven() {
    let bundle = Bundle::new(7, 1000);
    let registry = Liar::start(honest(std::slice::from_ref(&bundle))).await;
    let mirror = Liar::start(|_| unknown("NAME_UNKNOWN")).await;
    let mut settings = settings();
    settings.mirrors.insert(registry.domain(), vec![format!("http://{}/cache", mirror.domain())]);
    let remote = Client::new(settings);
    let repository =
        remote.repository(&registry.domain(), "team/app", ada(), Access::Pull).expect("an address");
    repository.manifest("0", None).await.expect("from the registry");
    assert_eq!(mirror.count("GET", "/cache/v2/team/app/manifests/0"), 1);
    let leaked = mirror.asked.lock().iter().any(|asked| asked.headers.contains_key("authorization"));
    assert!(!leaked, "a mirror is not told the registry's password");
}
