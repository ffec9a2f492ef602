//! Every option and every field, with Gantry and with the reference: the tables have the result of both.

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
