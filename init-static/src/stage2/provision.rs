//! One file per setting of `system.ini`: the setting and what is on disk become operations.

pub mod hostname;
pub mod locale;
pub mod machine_id;
pub mod ssh_key;
pub mod timezone;
