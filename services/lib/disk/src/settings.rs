//! The settings of RocksDB: small ones, because a service has thousands of records, not millions, and a host has
//! eight services.

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel, Options};

const BLOCK_CACHE: usize = 4 << 20;
const BLOOM_BITS: f64 = 10.0;

/// The settings of the whole database.
pub(crate) fn database() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_background_jobs(2);
    options.set_max_open_files(256);
    options.set_max_file_opening_threads(1);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_log_level(LogLevel::Error);
    options.set_max_total_wal_size(16 << 20);
    options.set_db_write_buffer_size(8 << 20);
    options.set_skip_stats_update_on_db_open(true);
    // Both settings stop a thread; the second also stops hidden writes.
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    // `wal` has cut off the end that a power cut may tear; any other flaw is damage.
    options.set_wal_recovery_mode(DBRecoveryMode::AbsoluteConsistency);
    options
}

/// The settings for reading a damaged database as far as possible.
pub(crate) fn salvage() -> Options {
    let mut options = database();
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options
}

/// The settings of each table.
pub(crate) struct TableSettings {
    cache: Cache,
}

impl TableSettings {
    /// The settings; the tables of one database share a cache.
    pub(crate) fn new() -> Result<Self, rocksdb::Error> {
        Ok(TableSettings { cache: Cache::new_lru_cache(BLOCK_CACHE)? })
    }

    pub(crate) fn options(&self) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&self.cache);
        blocks.set_bloom_filter(BLOOM_BITS, false);
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_write_buffer_size(1 << 20);
        options.set_max_write_buffer_number(2);
        options.set_arena_block_size(32 << 10);
        options.set_compression_type(DBCompressionType::None);
        options
    }
}
