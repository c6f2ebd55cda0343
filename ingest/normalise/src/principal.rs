//! Reads the workload out of a cryptographic identity. Not its proof: whether to believe it, the decoder said by setting it.

/// A workload as its certificate names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workload<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) service_account: &'a str,
}

/// The workload of `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`, with or without the scheme; none for an
/// identity of another shape.
///
/// Source: Istio, "Security", section "Istio identity"; the form without a scheme is that of `source.principal` in
/// Istio's authorization policies.
pub(crate) fn workload(principal: &str) -> Option<Workload<'_>> {
    let path = principal.strip_prefix("spiffe://").unwrap_or(principal);
    let mut parts = path.split('/');
    let trust_domain = parts.next()?;
    let (ns, namespace, sa, service_account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && ns == "ns" && sa == "sa";
    let has_all = ![trust_domain, namespace, service_account].contains(&"");
    (is_whole && has_all).then_some(Workload { namespace, service_account })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities() {
        for (principal, expected) in [
            ("spiffe://cluster.local/ns/shop/sa/cart", Some(("shop", "cart"))),
            ("cluster.local/ns/shop/sa/cart", Some(("shop", "cart"))),
            ("spiffe://cluster.local/ns/shop/sa/cart/x", None),
            ("spiffe://cluster.local/ns/shop/sa/", None),
            ("spiffe://cluster.local/ns//sa/cart", None),
            ("spiffe:///ns/shop/sa/cart", None),
            ("spiffe://cluster.local/shop/cart", None),
            ("spiffe://cluster.local/sa/shop/ns/cart", None),
            ("CN=cart", None),
            ("", None),
        ] {
            let found = workload(principal).map(|found| (found.namespace, found.service_account));
            assert_eq!(found, expected, "{principal}");
        }
    }
}
