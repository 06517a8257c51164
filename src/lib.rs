//! bearer-gate
