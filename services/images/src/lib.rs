//! The images service: names, pulls, pushes, import and export.
