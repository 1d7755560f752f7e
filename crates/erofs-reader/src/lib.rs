//! Reads EROFS images back, treating every byte as hostile
