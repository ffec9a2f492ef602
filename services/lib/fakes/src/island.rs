//! Work apart from a test's own.

/// A runtime of its own, which ends with all its connections when it is dropped: to a client, that is a killed process.
#[derive(Debug)]
pub struct Island(Option<tokio::runtime::Runtime>);

impl Island {
    /// Runs `work` apart from the test's own runtime.
    ///
    /// # Panics
    ///
    /// When there can be no further thread.
    pub fn run(work: impl Future<Output = ()> + Send + 'static) -> Island {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.spawn(work);
        Island(Some(runtime))
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
