package pack

// AdmittedType reports whether a pack may hold receipts of that type (pack.md §1.3): a type of the flat
// list, such as model_call, or a namespaced one, such as acme.review/v2. breakglass is neither.
func AdmittedType(typ string) bool { return admitted(typ) }
