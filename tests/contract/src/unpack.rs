//! Unpacking of layers while they arrive.

use bytes::Bytes;
use gantry_api::content::{Commit, Expected, Ingest, IngestRef, Writer};
use gantry_api::snapshots::{Kind, Layer, Owner, Progress, Snapshotter, Step, Unpack, Unpacking};
use gantry_rpc::{Code, Coded};
use gantry_types::{ChainId, DiffId, Digest, Labels, Namespace};

/// An unpacker, its source and its target.
#[derive(Debug)]
pub struct World<U, C, S> {
    /// The implementation.
    pub unpacker: U,
    /// The content that has or receives the layers.
    pub content: C,
    /// The snapshotter.
    pub snapshotter: S,
    /// The snapshotter's name; `None` for the default one.
    pub name: Option<&'static str>,
}

/// Tests of `gantry_api::snapshots::Unpack`.
#[macro_export]
macro_rules! unpack {
    ($world:expr) => {
        $crate::suite!(
            unpack,
            $world,
            [
                a_stack_is_committed_by_its_chain_ids,
                what_is_there_is_not_unpacked_again,
                a_layer_is_unpacked_while_it_arrives,
                what_is_not_what_was_said_is_refused,
            ]
        );
    };
}

fn owner() -> Owner {
    Owner::of(&Namespace::moby())
}

/// An archive without entries, whose length depends on `number`.
fn tar(number: usize) -> Vec<u8> {
    vec![0; 1024 * (number + 1)]
}

fn layer(bytes: &[u8], reference: Option<&IngestRef>) -> Layer {
    let digest = Digest::sha256(bytes);
    let (size, reference) = (bytes.len() as u64, reference.cloned());
    Layer { blob: digest.clone(), size, reference, diff_id: DiffId::new(digest) }
}

fn chains(layers: &[Layer]) -> Vec<String> {
    let diff_ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    ChainId::all(&diff_ids).iter().map(ToString::to_string).collect()
}

impl<U: Unpack, C: Ingest, S: Snapshotter> World<U, C, S> {
    async fn put(&self, bytes: &[u8]) {
        let expected = Expected { total: Some(bytes.len() as u64), digest: Some(Digest::sha256(bytes)) };
        let reference = format!("put-{}", Digest::sha256(bytes)).parse().expect("a ref");
        let mut writer = self.content.open(&owner(), &reference, expected.clone()).await.expect("opened");
        writer.write(Bytes::copy_from_slice(bytes)).await.expect("written");
        writer.commit(Commit { expected, labels: Labels::new() }).await.expect("committed");
    }

    async fn unpack(&self, layers: &[Layer]) -> Result<Vec<Progress>, U::Error> {
        let mut unpacking = self.unpacker.unpack(&owner(), self.name, layers.to_vec()).await?;
        let mut told = Vec::new();
        while let Some(progress) = unpacking.next().await? {
            told.push(progress);
        }
        Ok(told)
    }

    /// The last step of each layer.
    async fn ends(&self, layers: &[Layer]) -> Vec<Step> {
        let told = self.unpack(layers).await.unwrap_or_else(|error| panic!("unpacked: {error}"));
        let last = |at| told.iter().rfind(|one| one.layer == at).unwrap_or_else(|| panic!("{at}: {told:?}"));
        (0..layers.len()).map(|at| last(at).step).collect()
    }
}

/// Each layer becomes a committed snapshot on top of the one below it.
pub async fn a_stack_is_committed_by_its_chain_ids<U: Unpack, C: Ingest, S: Snapshotter>(
    world: &World<U, C, S>,
) {
    let mut layers = Vec::new();
    for number in 0..3 {
        world.put(&tar(number)).await;
        layers.push(layer(&tar(number), None));
    }
    let told = world.unpack(&layers).await.unwrap_or_else(|error| panic!("unpacked: {error}"));
    let names = chains(&layers);
    for one in &told {
        assert_eq!(one.chain.as_str(), names[one.layer], "{one:?}");
    }
    for (at, name) in names.iter().enumerate() {
        let info = world.snapshotter.stat(&Namespace::moby(), &name.parse().expect("a name")).await;
        let info = info.unwrap_or_else(|error| panic!("{name}: {error}"));
        let below = at.checked_sub(1).map(|below| names[below].parse().expect("a name"));
        assert_eq!((info.kind, info.parent), (Kind::Committed, below));
    }
    assert!(world.unpack(&[]).await.unwrap_or_else(|error| panic!("nothing: {error}")).is_empty());
}

/// Existing layers are reported as such, the second time and for another stack with the same base.
pub async fn what_is_there_is_not_unpacked_again<U: Unpack, C: Ingest, S: Snapshotter>(
    world: &World<U, C, S>,
) {
    for number in 0..3 {
        world.put(&tar(number)).await;
    }
    let [base, one, other] = [0, 1, 2].map(|number| layer(&tar(number), None));
    let stack = [base.clone(), one];
    assert_eq!(world.ends(&stack).await, [Step::Extracted, Step::Extracted]);
    assert_eq!(world.ends(&stack).await, [Step::Exists, Step::Exists]);
    assert_eq!(world.ends(&[base, other]).await, [Step::Exists, Step::Extracted]);
}

/// A layer is committed after its blob.
pub async fn a_layer_is_unpacked_while_it_arrives<U: Unpack, C: Ingest, S: Snapshotter>(
    world: &World<U, C, S>,
) {
    let bytes = tar(40);
    let reference: IngestRef = "arriving".parse().expect("a ref");
    let expected = Expected { total: None, digest: Some(Digest::sha256(&bytes)) };
    let mut writer = world.content.open(&owner(), &reference, expected.clone()).await.expect("opened");
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    writer.write(Bytes::copy_from_slice(head)).await.expect("written");
    let layers = [layer(&bytes, Some(&reference))];
    let name = chains(&layers)[0].parse().expect("a name");
    let arriving = async {
        let there = world.snapshotter.stat(&Namespace::moby(), &name).await;
        assert_eq!(there.map(drop).map_err(|error| error.code()), Err(Code::NotFound));
        writer.write(Bytes::copy_from_slice(tail)).await.expect("written");
        writer.commit(Commit { expected, labels: Labels::new() }).await.expect("committed");
    };
    let (ends, ()) = tokio::join!(world.ends(&layers), arriving);
    assert_eq!(ends, [Step::Extracted]);
}

/// A layer with a wrong diff-id, or without a blob, is not committed, and no layer on top of it.
pub async fn what_is_not_what_was_said_is_refused<U: Unpack, C: Ingest, S: Snapshotter>(
    world: &World<U, C, S>,
) {
    world.put(&tar(0)).await;
    world.put(&tar(1)).await;
    let good = layer(&tar(1), None);
    let wrong = Layer { diff_id: DiffId::new(Digest::sha256(b"another")), ..layer(&tar(0), None) };
    let nowhere = layer(&tar(7), None);
    for (bad, code) in [(wrong, Code::FailedPrecondition), (nowhere, Code::NotFound)] {
        let layers = [bad, good.clone()];
        let outcome = world.unpack(&layers).await;
        assert_eq!(outcome.map_err(|error| error.code()), Err(code));
        for name in chains(&layers) {
            let there = world.snapshotter.stat(&Namespace::moby(), &name.parse().expect("a name")).await;
            assert_eq!(there.map(drop).map_err(|error| error.code()), Err(Code::NotFound), "{name}");
        }
    }
}
