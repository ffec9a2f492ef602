//! What every service process needs: roots, telemetry, signals, readiness, privileges.
