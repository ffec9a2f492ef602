//! Every option and every field, on Gantry and on the reference: the tables say what both do.

mod attach;
mod commit;
mod drivers;
mod events;
mod filters;
mod health;
mod images;
mod inside;
mod inspect;
mod lifecycle;
mod logs;
mod networks;
mod programs;
mod refusals;
mod stats;
mod top;
mod updates;
mod volumes;
