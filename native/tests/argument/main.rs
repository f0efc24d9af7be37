// SPDX-License-Identifier: Apache-2.0
//! The argument as a whole, on domains of 1,024 rows.

mod bytes;
mod cheats;
mod completeness;
mod hiding;
mod inputs;
mod scene;
mod shared;
mod strings;
mod transcript;
