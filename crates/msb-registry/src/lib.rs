//! A client for the OCI distribution specification that hands out verified bytes
