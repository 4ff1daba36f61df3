"""Admission by servers outside: MutatingAdmissionWebhook and ValidatingAdmissionWebhook (upstream: apiserver/pkg/admission/plugin/webhook).

`rules` and `hooks` read configurations, `source` finds the webhooks of a request in next to no time, `plugins` are the two steps of the
chain. The rest is loaded when the first webhook is to be called: `dispatch` decides what is called and what follows from the answer,
`subject` and `review` are what is sent and understood (pure), `endpoint` and `caller` how it gets there.
"""
