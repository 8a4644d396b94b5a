// Package lobby limits the connections at a door: how many may wait without a sign-in, for how long, and how many
// signed-in connections one person may have.
//
// Contract: if more than MaxWaiting wait, each new one replaces another: the oldest from the address that has most. So
// a flood from one place replaces its own connections. A connection belongs to the person who last signed in on it (a
// proxy in front of the door brings many people over one connection). At most MaxSignedIn belong to people, and
// MaxPersonal to one person. A person beyond that is told so, and the connection goes on waiting. A connection that a
// door passes on to another party that limits it leaves the lobby.
package lobby
