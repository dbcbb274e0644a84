# Who may do what: input is {"user": "bob", "action": "read"}.
package example

default allow := false

allow if input.action in actions

# What the user's roles allow.
actions contains action if {
	some role in data.example.users[input.user]
	some action in data.example.roles[role]
}
