// Package lobby bounds the connections at a door: how many wait on which nobody has signed in, how long they may, and
// how many one person has of those on which somebody has.
//
// Contract: of more than MaxWaiting that wait, one goes for each that comes: the oldest of the address that has most,
// so that a flood from one place sends away its own. A connection is the person's who last signed in on it (a proxy
// before the door brings many people over one). At most MaxSignedIn are people's, and MaxPersonal one person's; who
// would be beyond is told so, and the connection waits on. What a door hands on to somebody else who bounds it leaves
// the lobby.
package lobby
