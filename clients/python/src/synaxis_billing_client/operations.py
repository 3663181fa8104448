# Generated from docs/openapi.json by clients/python/generate.py; do not edit.
"""The routes of the API: what each is called by, and what it answers."""

import abc
from collections.abc import AsyncIterator, Iterator
from datetime import date, datetime
from typing import Unpack
from uuid import UUID

from synaxis_billing_client import models, requests
from synaxis_billing_client.calls import Call, document_of, new_call, path_of


def get_health() -> Call[models.Health]:
    return new_call("GET", path_of("/health"), {200: models.Health, 503: models.Health})


def invalidate_cache(
    **body: Unpack[requests.CacheInvalidationRequest],
) -> Call[models.CacheInvalidation]:
    return new_call(
        "POST",
        path_of("/v1/cache/invalidate"),
        {200: models.CacheInvalidation},
        body=body,
        repeatable=True,
    )


def get_cache_statistics() -> Call[models.CacheStatistics]:
    return new_call("GET", path_of("/v1/cache/statistics"), {200: models.CacheStatistics})


def create_charges(**body: Unpack[requests.BatchRequest]) -> Call[models.BatchAnswer]:
    return new_call(
        "POST", path_of("/v1/charges/batch"), {200: models.BatchAnswer}, body=body, repeatable=True
    )


def list_exchange_rates() -> Call[models.ExchangeRates]:
    return new_call("GET", path_of("/v1/exchange-rates"), {200: models.ExchangeRates})


def get_exchange_rate(currency: str) -> Call[models.ExchangeRate]:
    return new_call(
        "GET", path_of("/v1/exchange-rates/{currency}", currency), {200: models.ExchangeRate}
    )


def get_platform_forecast(*, days: int | None = None) -> Call[models.ExpectedSpend]:
    return new_call(
        "GET", path_of("/v1/forecast"), {200: models.ExpectedSpend}, query={"days": days}
    )


def get_month_end(month: str) -> Call[models.MonthEndProgress]:
    return new_call("GET", path_of("/v1/month-end/{month}", month), {200: models.MonthEndProgress})


def list_organizations(
    *,
    external_id: str | None = None,
    q: str | None = None,
    status: str | None = None,
    sort: str | None = None,
    limit: int | None = None,
) -> Call[models.OrganizationPage]:
    return new_call(
        "GET",
        path_of("/v1/organizations"),
        {200: models.OrganizationPage},
        query={"external_id": external_id, "q": q, "status": status, "sort": sort, "limit": limit},
    )


def create_organization(**body: Unpack[requests.NewOrganization]) -> Call[models.Organization]:
    return new_call("POST", path_of("/v1/organizations"), {201: models.Organization}, body=body)


def get_organization(organization_id: UUID | str) -> Call[models.Organization]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}", organization_id),
        {200: models.Organization},
    )


def update_organization(
    organization_id: UUID | str, **body: Unpack[requests.OrganizationChange]
) -> Call[models.Organization]:
    return new_call(
        "PATCH",
        path_of("/v1/organizations/{organization_id}", organization_id),
        {200: models.Organization},
        body=body,
    )


def create_adjustment(
    organization_id: UUID | str,
    *,
    idempotency_key: str | None = None,
    **body: Unpack[requests.AdjustmentRequest],
) -> Call[models.Transaction]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/adjustments", organization_id),
        {201: models.Transaction},
        body=body,
        keyed=True,
        key=idempotency_key,
    )


def delete_auto_topup(organization_id: UUID | str) -> Call[models.AutoTopup]:
    return new_call(
        "DELETE",
        path_of("/v1/organizations/{organization_id}/auto-topup", organization_id),
        {200: models.AutoTopup},
    )


def get_auto_topup(organization_id: UUID | str) -> Call[models.AutoTopup]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/auto-topup", organization_id),
        {200: models.AutoTopup},
    )


def set_auto_topup(
    organization_id: UUID | str, **body: Unpack[requests.AutoTopupRequest]
) -> Call[models.AutoTopup]:
    return new_call(
        "PUT",
        path_of("/v1/organizations/{organization_id}/auto-topup", organization_id),
        {200: models.AutoTopup},
        body=body,
    )


def get_balance(organization_id: UUID | str) -> Call[models.Balance]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/balance", organization_id),
        {200: models.Balance},
    )


def get_balance_history(
    organization_id: UUID | str, *, from_: str | None = None, to: str | None = None
) -> Call[models.BalanceHistory]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/balance/history", organization_id),
        {200: models.BalanceHistory},
        query={"from": from_, "to": to},
    )


def list_budgets(
    organization_id: UUID | str, *, limit: int | None = None
) -> Call[models.BudgetPage]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/budgets", organization_id),
        {200: models.BudgetPage},
        query={"limit": limit},
    )


def create_budget(
    organization_id: UUID | str, **body: Unpack[requests.NewBudget]
) -> Call[models.Budget]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/budgets", organization_id),
        {201: models.Budget},
        body=body,
    )


def delete_budget(organization_id: UUID | str, budget_id: UUID | str) -> Call[models.Budget]:
    return new_call(
        "DELETE",
        path_of(
            "/v1/organizations/{organization_id}/budgets/{budget_id}", organization_id, budget_id
        ),
        {200: models.Budget},
    )


def get_budget(organization_id: UUID | str, budget_id: UUID | str) -> Call[models.Budget]:
    return new_call(
        "GET",
        path_of(
            "/v1/organizations/{organization_id}/budgets/{budget_id}", organization_id, budget_id
        ),
        {200: models.Budget},
    )


def update_budget(
    organization_id: UUID | str, budget_id: UUID | str, **body: Unpack[requests.BudgetChange]
) -> Call[models.Budget]:
    return new_call(
        "PATCH",
        path_of(
            "/v1/organizations/{organization_id}/budgets/{budget_id}", organization_id, budget_id
        ),
        {200: models.Budget},
        body=body,
    )


def create_charge(
    organization_id: UUID | str,
    *,
    idempotency_key: str | None = None,
    **body: Unpack[requests.ChargeRequest],
) -> Call[models.Transaction | models.Unpriced]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/charges", organization_id),
        {201: models.Transaction, 202: models.Unpriced},
        body=body,
        keyed=True,
        key=idempotency_key,
    )


def list_clients(organization_id: UUID | str) -> Call[models.OrganizationClients]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/clients", organization_id),
        {200: models.OrganizationClients},
    )


def create_client(
    organization_id: UUID | str, **body: Unpack[requests.NewClient]
) -> Call[models.OrganizationClientWithSecret]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/clients", organization_id),
        {201: models.OrganizationClientWithSecret},
        body=body,
    )


def revoke_client(
    organization_id: UUID | str, client_id: UUID | str
) -> Call[models.OrganizationClient]:
    return new_call(
        "DELETE",
        path_of(
            "/v1/organizations/{organization_id}/clients/{client_id}", organization_id, client_id
        ),
        {200: models.OrganizationClient},
    )


def rotate_client_secret(
    organization_id: UUID | str, client_id: UUID | str
) -> Call[models.OrganizationClientWithSecret]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/clients/{client_id}/rotate-secret",
            organization_id,
            client_id,
        ),
        {200: models.OrganizationClientWithSecret},
    )


def create_document_link(
    organization_id: UUID | str, **body: Unpack[requests.NewDocumentLink]
) -> Call[models.DocumentLink]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/documents", organization_id),
        {201: models.DocumentLink},
        body=body,
        repeatable=True,
    )


def erase_personal_data(
    organization_id: UUID | str,
    *,
    cursor: str | None = None,
    **body: Unpack[requests.ErasureRequest],
) -> Call[models.Erasure]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/erasures", organization_id),
        {201: models.Erasure},
        query={"cursor": cursor},
        body=body,
    )


def get_forecast(
    organization_id: UUID | str, *, days: int | None = None
) -> Call[models.SpendForecast]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/forecast", organization_id),
        {200: models.SpendForecast},
        query={"days": days},
    )


def list_grants(
    organization_id: UUID | str, *, status: str | None = None, limit: int | None = None
) -> Call[models.GrantPage]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/grants", organization_id),
        {200: models.GrantPage},
        query={"status": status, "limit": limit},
    )


def create_grant(
    organization_id: UUID | str,
    *,
    idempotency_key: str | None = None,
    **body: Unpack[requests.GrantRequest],
) -> Call[models.Grant]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/grants", organization_id),
        {201: models.Grant},
        body=body,
        keyed=True,
        key=idempotency_key,
    )


def void_grant(
    organization_id: UUID | str, grant_id: UUID | str, *, idempotency_key: str | None = None
) -> Call[models.Transaction]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/grants/{grant_id}/void", organization_id, grant_id
        ),
        {201: models.Transaction},
        keyed=True,
        key=idempotency_key,
    )


def list_holds(
    organization_id: UUID | str,
    *,
    status: str | None = None,
    request_id: str | None = None,
    limit: int | None = None,
) -> Call[models.HoldPage]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/holds", organization_id),
        {200: models.HoldPage},
        query={"status": status, "request_id": request_id, "limit": limit},
    )


def create_hold(
    organization_id: UUID | str,
    *,
    idempotency_key: str | None = None,
    **body: Unpack[requests.HoldRequest],
) -> Call[models.Hold]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/holds", organization_id),
        {201: models.Hold},
        body=body,
        keyed=True,
        key=idempotency_key,
    )


def get_hold(organization_id: UUID | str, hold_id: UUID | str) -> Call[models.Hold]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/holds/{hold_id}", organization_id, hold_id),
        {200: models.Hold},
    )


def update_hold(
    organization_id: UUID | str, hold_id: UUID | str, **body: Unpack[requests.HoldChange]
) -> Call[models.Hold]:
    return new_call(
        "PATCH",
        path_of("/v1/organizations/{organization_id}/holds/{hold_id}", organization_id, hold_id),
        {200: models.Hold},
        body=body,
    )


def capture_hold(
    organization_id: UUID | str,
    hold_id: UUID | str,
    *,
    idempotency_key: str | None = None,
    **body: Unpack[requests.CaptureRequest],
) -> Call[models.Transaction | models.Unpriced]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/holds/{hold_id}/capture", organization_id, hold_id
        ),
        {201: models.Transaction, 202: models.Unpriced},
        body=body,
        keyed=True,
        key=idempotency_key,
    )


def release_hold(
    organization_id: UUID | str, hold_id: UUID | str, *, idempotency_key: str | None = None
) -> Call[models.Hold]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/holds/{hold_id}/release", organization_id, hold_id
        ),
        {200: models.Hold},
        keyed=True,
        key=idempotency_key,
    )


def set_organization_home(
    organization_id: UUID | str, **body: Unpack[requests.NewOrganizationHome]
) -> Call[models.OrganizationHome]:
    return new_call(
        "PUT",
        path_of("/v1/organizations/{organization_id}/home", organization_id),
        {200: models.OrganizationHome},
        body=body,
    )


def list_invoices(
    organization_id: UUID | str, *, status: str | None = None, limit: int | None = None
) -> Call[models.InvoiceSummaryPage]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/invoices", organization_id),
        {200: models.InvoiceSummaryPage},
        query={"status": status, "limit": limit},
    )


def draft_invoice(
    organization_id: UUID | str, **body: Unpack[requests.InvoicePeriod]
) -> Call[models.Invoice]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/invoices", organization_id),
        {200: models.Invoice, 201: models.Invoice},
        body=body,
        repeatable=True,
    )


def get_invoice(organization_id: UUID | str, invoice_id: UUID | str) -> Call[models.Invoice]:
    return new_call(
        "GET",
        path_of(
            "/v1/organizations/{organization_id}/invoices/{invoice_id}", organization_id, invoice_id
        ),
        {200: models.Invoice},
    )


def cancel_invoice(organization_id: UUID | str, invoice_id: UUID | str) -> Call[models.Invoice]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/invoices/{invoice_id}/cancel",
            organization_id,
            invoice_id,
        ),
        {200: models.Invoice},
        repeatable=True,
    )


def list_credit_notes(
    organization_id: UUID | str, invoice_id: UUID | str, *, limit: int | None = None
) -> Call[models.CreditNotePage]:
    return new_call(
        "GET",
        path_of(
            "/v1/organizations/{organization_id}/invoices/{invoice_id}/credit-notes",
            organization_id,
            invoice_id,
        ),
        {200: models.CreditNotePage},
        query={"limit": limit},
    )


def create_credit_note(
    organization_id: UUID | str,
    invoice_id: UUID | str,
    *,
    idempotency_key: str | None = None,
    **body: Unpack[requests.CreditNoteRequest],
) -> Call[models.CreditNote]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/invoices/{invoice_id}/credit-notes",
            organization_id,
            invoice_id,
        ),
        {201: models.CreditNote},
        body=body,
        keyed=True,
        key=idempotency_key,
    )


def get_credit_note(
    organization_id: UUID | str, invoice_id: UUID | str, credit_note_id: UUID | str
) -> Call[models.CreditNote]:
    return new_call(
        "GET",
        path_of(
            "/v1/organizations/{organization_id}/invoices/{invoice_id}/credit-notes/{credit_note_id}",
            organization_id,
            invoice_id,
            credit_note_id,
        ),
        {200: models.CreditNote},
    )


def issue_invoice(organization_id: UUID | str, invoice_id: UUID | str) -> Call[models.Invoice]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/invoices/{invoice_id}/issue",
            organization_id,
            invoice_id,
        ),
        {200: models.Invoice},
        repeatable=True,
    )


def list_invoice_lines(
    organization_id: UUID | str, invoice_id: UUID | str, *, limit: int | None = None
) -> Call[models.LineItemPage]:
    return new_call(
        "GET",
        path_of(
            "/v1/organizations/{organization_id}/invoices/{invoice_id}/lines",
            organization_id,
            invoice_id,
        ),
        {200: models.LineItemPage},
        query={"limit": limit},
    )


def pay_invoice(
    organization_id: UUID | str, invoice_id: UUID | str, **body: Unpack[requests.InvoicePayment]
) -> Call[models.Invoice]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/invoices/{invoice_id}/pay",
            organization_id,
            invoice_id,
        ),
        {200: models.Invoice},
        body=body,
        repeatable=True,
    )


def create_payment_link(
    organization_id: UUID | str, invoice_id: UUID | str, **body: Unpack[requests.NewPaymentLink]
) -> Call[models.PaymentLink]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/invoices/{invoice_id}/payment-link",
            organization_id,
            invoice_id,
        ),
        {201: models.PaymentLink},
        body=body,
    )


def delete_label(
    organization_id: UUID | str, *, kind: str | None = None, id: str | None = None
) -> Call[models.Label]:
    return new_call(
        "DELETE",
        path_of("/v1/organizations/{organization_id}/labels", organization_id),
        {200: models.Label},
        query={"kind": kind, "id": id},
    )


def list_labels(
    organization_id: UUID | str, *, kind: str | None = None, limit: int | None = None
) -> Call[models.LabelPage]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/labels", organization_id),
        {200: models.LabelPage},
        query={"kind": kind, "limit": limit},
    )


def put_label(organization_id: UUID | str, **body: Unpack[requests.NewLabel]) -> Call[models.Label]:
    return new_call(
        "PUT",
        path_of("/v1/organizations/{organization_id}/labels", organization_id),
        {200: models.Label},
        body=body,
    )


def list_payments(
    organization_id: UUID | str, *, status: str | None = None, limit: int | None = None
) -> Call[models.PaymentPage]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/payments", organization_id),
        {200: models.PaymentPage},
        query={"status": status, "limit": limit},
    )


def create_payment(
    organization_id: UUID | str,
    *,
    idempotency_key: str | None = None,
    **body: Unpack[requests.NewPayment],
) -> Call[models.Payment]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/payments", organization_id),
        {201: models.Payment},
        body=body,
        keyed=True,
        key=idempotency_key,
    )


def preview_payment(
    organization_id: UUID | str, **body: Unpack[requests.PreviewRequest]
) -> Call[models.PaymentPreview]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/payments/preview", organization_id),
        {200: models.PaymentPreview},
        body=body,
    )


def get_payment(organization_id: UUID | str, payment_id: UUID | str) -> Call[models.Payment]:
    return new_call(
        "GET",
        path_of(
            "/v1/organizations/{organization_id}/payments/{payment_id}", organization_id, payment_id
        ),
        {200: models.Payment},
    )


def refund_payment(
    organization_id: UUID | str,
    payment_id: UUID | str,
    *,
    idempotency_key: str | None = None,
    **body: Unpack[requests.PaymentRefundRequest],
) -> Call[models.PaymentRefund]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/payments/{payment_id}/refund",
            organization_id,
            payment_id,
        ),
        {201: models.PaymentRefund},
        body=body,
        keyed=True,
        key=idempotency_key,
    )


def export_personal_data(
    organization_id: UUID | str, *, initiated_by: str | None = None, limit: int | None = None
) -> Call[models.PersonalDataExport]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/personal-data", organization_id),
        {200: models.PersonalDataExport},
        query={"initiated_by": initiated_by, "limit": limit},
    )


def create_refund(
    organization_id: UUID | str,
    *,
    idempotency_key: str | None = None,
    **body: Unpack[requests.RefundRequest],
) -> Call[models.Transaction]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/refunds", organization_id),
        {201: models.Transaction},
        body=body,
        keyed=True,
        key=idempotency_key,
    )


def list_spend_logs(
    organization_id: UUID | str,
    *,
    team_id: str | None = None,
    virtual_key_id: str | None = None,
    model: str | None = None,
    provider: str | None = None,
    request_id: str | None = None,
    reference_id: str | None = None,
    end_user: str | None = None,
    from_: datetime | date | str | None = None,
    to: datetime | date | str | None = None,
    limit: int | None = None,
) -> Call[models.SpendLogPage]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/spend-logs", organization_id),
        {200: models.SpendLogPage},
        query={
            "team_id": team_id,
            "virtual_key_id": virtual_key_id,
            "model": model,
            "provider": provider,
            "request_id": request_id,
            "reference_id": reference_id,
            "end_user": end_user,
            "from": from_,
            "to": to,
            "limit": limit,
        },
    )


def create_spend_log(
    organization_id: UUID | str,
    *,
    idempotency_key: str | None = None,
    **body: Unpack[requests.SpendLogRequest],
) -> Call[models.SpendLog]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/spend-logs", organization_id),
        {201: models.SpendLog},
        body=body,
        keyed=True,
        key=idempotency_key,
    )


def get_spending(
    organization_id: UUID | str,
    *,
    team_id: str | None = None,
    virtual_key_id: str | None = None,
    model: str | None = None,
    provider: str | None = None,
    from_: datetime | date | str | None = None,
    to: datetime | date | str | None = None,
    group_by: str | None = None,
    top: int | None = None,
) -> Call[models.Spending]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/spending", organization_id),
        {200: models.Spending},
        query={
            "team_id": team_id,
            "virtual_key_id": virtual_key_id,
            "model": model,
            "provider": provider,
            "from": from_,
            "to": to,
            "group_by": group_by,
            "top": top,
        },
    )


def create_topup(
    organization_id: UUID | str,
    *,
    idempotency_key: str | None = None,
    **body: Unpack[requests.TopUpRequest],
) -> Call[models.Transaction]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/topups", organization_id),
        {201: models.Transaction},
        body=body,
        keyed=True,
        key=idempotency_key,
    )


def get_topup_invoice(
    organization_id: UUID | str, transaction_id: UUID | str
) -> Call[models.Invoice]:
    return new_call(
        "GET",
        path_of(
            "/v1/organizations/{organization_id}/topups/{transaction_id}/invoice",
            organization_id,
            transaction_id,
        ),
        {200: models.Invoice},
    )


def list_transactions(
    organization_id: UUID | str,
    *,
    team_id: str | None = None,
    virtual_key_id: str | None = None,
    model: str | None = None,
    provider: str | None = None,
    request_id: str | None = None,
    reference_id: str | None = None,
    end_user: str | None = None,
    type: str | None = None,
    from_: datetime | date | str | None = None,
    to: datetime | date | str | None = None,
    limit: int | None = None,
) -> Call[models.TransactionPage]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/transactions", organization_id),
        {200: models.TransactionPage},
        query={
            "team_id": team_id,
            "virtual_key_id": virtual_key_id,
            "model": model,
            "provider": provider,
            "request_id": request_id,
            "reference_id": reference_id,
            "end_user": end_user,
            "type": type,
            "from": from_,
            "to": to,
            "limit": limit,
        },
    )


def get_transaction(
    organization_id: UUID | str, transaction_id: UUID | str
) -> Call[models.Transaction]:
    return new_call(
        "GET",
        path_of(
            "/v1/organizations/{organization_id}/transactions/{transaction_id}",
            organization_id,
            transaction_id,
        ),
        {200: models.Transaction},
    )


def get_receipt(organization_id: UUID | str, transaction_id: UUID | str) -> Call[models.Receipt]:
    return new_call(
        "GET",
        path_of(
            "/v1/organizations/{organization_id}/transactions/{transaction_id}/receipt",
            organization_id,
            transaction_id,
        ),
        {200: models.Receipt},
    )


def list_webhook_endpoints(organization_id: UUID | str) -> Call[models.WebhookEndpoints]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/webhook-endpoints", organization_id),
        {200: models.WebhookEndpoints},
    )


def create_webhook_endpoint(
    organization_id: UUID | str, **body: Unpack[requests.NewWebhookEndpoint]
) -> Call[models.WebhookEndpointWithSecret]:
    return new_call(
        "POST",
        path_of("/v1/organizations/{organization_id}/webhook-endpoints", organization_id),
        {201: models.WebhookEndpointWithSecret},
        body=body,
    )


def delete_webhook_endpoint(
    organization_id: UUID | str, endpoint_id: UUID | str
) -> Call[models.WebhookEndpoint]:
    return new_call(
        "DELETE",
        path_of(
            "/v1/organizations/{organization_id}/webhook-endpoints/{endpoint_id}",
            organization_id,
            endpoint_id,
        ),
        {200: models.WebhookEndpoint},
    )


def update_webhook_endpoint(
    organization_id: UUID | str,
    endpoint_id: UUID | str,
    **body: Unpack[requests.WebhookEndpointChange],
) -> Call[models.WebhookEndpoint]:
    return new_call(
        "PATCH",
        path_of(
            "/v1/organizations/{organization_id}/webhook-endpoints/{endpoint_id}",
            organization_id,
            endpoint_id,
        ),
        {200: models.WebhookEndpoint},
        body=body,
    )


def replay_webhook_events(
    organization_id: UUID | str, endpoint_id: UUID | str, **body: Unpack[requests.WebhookReplay]
) -> Call[models.WebhooksReplayed]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/webhook-endpoints/{endpoint_id}/replay",
            organization_id,
            endpoint_id,
        ),
        {200: models.WebhooksReplayed},
        body=body,
    )


def rotate_webhook_secret(
    organization_id: UUID | str, endpoint_id: UUID | str
) -> Call[models.WebhookEndpointWithSecret]:
    return new_call(
        "POST",
        path_of(
            "/v1/organizations/{organization_id}/webhook-endpoints/{endpoint_id}/rotate-secret",
            organization_id,
            endpoint_id,
        ),
        {200: models.WebhookEndpointWithSecret},
    )


def list_webhook_events(
    organization_id: UUID | str, *, type: str | None = None, limit: int | None = None
) -> Call[models.WebhookEventPage]:
    return new_call(
        "GET",
        path_of("/v1/organizations/{organization_id}/webhook-events", organization_id),
        {200: models.WebhookEventPage},
        query={"type": type, "limit": limit},
    )


def list_unmatched_payment_events(*, limit: int | None = None) -> Call[models.UnmatchedEventPage]:
    return new_call(
        "GET",
        path_of("/v1/payment-events"),
        {200: models.UnmatchedEventPage},
        query={"limit": limit},
    )


def get_payment_link(token: str) -> Call[models.LinkedInvoice]:
    return new_call("GET", path_of("/v1/payment-links/{token}", token), {200: models.LinkedInvoice})


def pay_by_link(
    token: str, **body: Unpack[requests.LinkPaymentRequest]
) -> Call[models.LinkedPayment]:
    return new_call(
        "POST", path_of("/v1/payment-links/{token}", token), {201: models.LinkedPayment}, body=body
    )


def list_platform_payments(
    *, status: str | None = None, dispute_state: str | None = None, limit: int | None = None
) -> Call[models.PlatformPaymentPage]:
    return new_call(
        "GET",
        path_of("/v1/payments"),
        {200: models.PlatformPaymentPage},
        query={"status": status, "dispute_state": dispute_state, "limit": limit},
    )


def list_prices(
    *,
    organization_id: UUID | str | None = None,
    provider: str | None = None,
    model: str | None = None,
    at: datetime | str | None = None,
    limit: int | None = None,
) -> Call[models.PricePage]:
    return new_call(
        "GET",
        path_of("/v1/prices"),
        {200: models.PricePage},
        query={
            "organization_id": organization_id,
            "provider": provider,
            "model": model,
            "at": at,
            "limit": limit,
        },
    )


def create_price(**body: Unpack[requests.NewPrice]) -> Call[models.Price]:
    return new_call("POST", path_of("/v1/prices"), {201: models.Price}, body=body)


def import_prices(**body: Unpack[requests.PriceImport]) -> Call[models.PriceImported]:
    return new_call(
        "POST",
        path_of("/v1/prices/import"),
        {200: models.PriceImported},
        body=body,
        repeatable=True,
    )


def get_price(price_id: UUID | str) -> Call[models.Price]:
    return new_call("GET", path_of("/v1/prices/{price_id}", price_id), {200: models.Price})


def create_quote(**body: Unpack[requests.QuoteRequest]) -> Call[models.Quote]:
    return new_call("POST", path_of("/v1/quotes"), {200: models.Quote}, body=body, repeatable=True)


def create_rerating(**body: Unpack[requests.NewRerating]) -> Call[models.Rerating]:
    return new_call("POST", path_of("/v1/reratings"), {200: models.Rerating}, body=body)


def get_revenue(*, month: str | None = None) -> Call[models.Revenue]:
    return new_call("GET", path_of("/v1/revenue"), {200: models.Revenue}, query={"month": month})


def get_platform_spending(
    *,
    team_id: str | None = None,
    virtual_key_id: str | None = None,
    model: str | None = None,
    provider: str | None = None,
    from_: datetime | str | None = None,
    to: datetime | str | None = None,
    group_by: str | None = None,
    top: int | None = None,
) -> Call[models.PlatformSpending]:
    return new_call(
        "GET",
        path_of("/v1/spending"),
        {200: models.PlatformSpending},
        query={
            "team_id": team_id,
            "virtual_key_id": virtual_key_id,
            "model": model,
            "provider": provider,
            "from": from_,
            "to": to,
            "group_by": group_by,
            "top": top,
        },
    )


def create_token(**body: Unpack[requests.TokenRequest]) -> Call[models.Token]:
    return new_call("POST", path_of("/v1/tokens"), {200: models.Token}, body=body)


def list_unpriced_usage(*, limit: int | None = None) -> Call[models.UnpricedPage]:
    return new_call(
        "GET", path_of("/v1/unpriced-usage"), {200: models.UnpricedPage}, query={"limit": limit}
    )


def list_refused_usage_events(*, limit: int | None = None) -> Call[models.RefusedEventPage]:
    return new_call(
        "GET",
        path_of("/v1/usage-events/refused"),
        {200: models.RefusedEventPage},
        query={"limit": limit},
    )


class Operations(abc.ABC):
    """A method for each route; the client inherits them."""

    @abc.abstractmethod
    def call[T](self, call: Call[T]) -> T:
        """Send a call, again where the contract says so, and return its answer."""

    @abc.abstractmethod
    def pages[T](self, call: Call[object], item: type[T]) -> Iterator[T]:
        """Yield the items of a list, page after page."""

    def get_health(self) -> models.Health:
        """Get the state of the database, the cache and the rates.

        Needs no token. 200 while charges can be taken, 503 otherwise. It may be two seconds old.
        """
        return self.call(get_health())

    def invalidate_cache(
        self, **body: Unpack[requests.CacheInvalidationRequest]
    ) -> models.CacheInvalidation:
        """Invalidate cached values of an organization.

        All of them, unless the request names keys, a pattern or tags.
        """
        return self.call(invalidate_cache(**body))

    def get_cache_statistics(self) -> models.CacheStatistics:
        """Get the cache statistics of one container.

        Each container counts for itself, and any of them may answer.
        """
        return self.call(get_cache_statistics())

    def create_charges(self, **body: Unpack[requests.BatchRequest]) -> models.BatchAnswer:
        """Charge up to 1,000 calls at once.

        Answers one result per charge, in order. A failed charge does not affect the others. Each
        has the `idempotency_key` that it would have had alone.
        """
        return self.call(create_charges(**body))

    def list_exchange_rates(self) -> models.ExchangeRates:
        """List the exchange rates of all billing currencies.

        The last known rates; `stale` tells that they are old or the static fallback.
        """
        return self.call(list_exchange_rates())

    def get_exchange_rate(self, currency: str) -> models.ExchangeRate:
        """Get the exchange rate of one currency.

        The last known rate; `stale` tells that it is old or the static fallback.
        """
        return self.call(get_exchange_rate(currency))

    def get_platform_forecast(self, *, days: int | None = None) -> models.ExpectedSpend:
        """Forecast the spend of all organizations together.

        Needs `billing:platform` too. The first day is the oldest that has not ended in every time
        zone; days are those of each organization.
        """
        return self.call(get_platform_forecast(days=days))

    def get_month_end(self, month: str) -> models.MonthEndProgress:
        """Get the progress of a month end.

        Needs `billing:platform` too. Counts the organizations that were billed, and lists
        failures.
        """
        return self.call(get_month_end(month))

    def list_organizations(
        self,
        *,
        external_id: str | None = None,
        q: str | None = None,
        status: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> Iterator[models.OrganizationWithBalance]:
        """List the organizations of the platform, each with its credit now.

        Newest first, or in the order that `sort` names, with the totals of all of them. Only a
        token with `billing:platform` may. An organization may move while the pages of an order are
        read.
        """
        return self.pages(
            list_organizations(external_id=external_id, q=q, status=status, sort=sort, limit=limit),
            models.OrganizationWithBalance,
        )

    def create_organization(self, **body: Unpack[requests.NewOrganization]) -> models.Organization:
        """Create an organization.

        An `id` of your own makes the creation safe to retry.
        """
        return self.call(create_organization(**body))

    def get_organization(self, organization_id: UUID | str) -> models.Organization:
        """Get the billing profile of an organization.

        It may be a few seconds old.
        """
        return self.call(get_organization(organization_id))

    def update_organization(
        self, organization_id: UUID | str, **body: Unpack[requests.OrganizationChange]
    ) -> models.Organization:
        """Change the billing profile of an organization.

        Changes only the fields that the request names. A new currency affects future invoices
        only. A token with `billing:settings` alone may change the address, the e-mail address, the
        tax id and the alerts `low_balance_threshold_usd` and `runs_out_alert_days`.
        """
        return self.call(update_organization(organization_id, **body))

    def create_adjustment(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.AdjustmentRequest],
    ) -> models.Transaction:
        """Adjust a balance by a signed amount.

        A positive amount is a grant. A negative one takes credit as a charge does, and more than
        is available only with `allow_negative_balance`; charges and holds then wait for credit.
        """
        return self.call(
            create_adjustment(organization_id, idempotency_key=idempotency_key, **body)
        )

    def delete_auto_topup(self, organization_id: UUID | str) -> models.AutoTopup:
        """Switch automatic top-ups off.

        Answers them as they were. A charge that is under way goes on.
        """
        return self.call(delete_auto_topup(organization_id))

    def get_auto_topup(self, organization_id: UUID | str) -> models.AutoTopup:
        """Get the automatic top-ups of an organization.

        Tells what was bought this month, and whether the card was declined.
        """
        return self.call(get_auto_topup(organization_id))

    def set_auto_topup(
        self, organization_id: UUID | str, **body: Unpack[requests.AutoTopupRequest]
    ) -> models.AutoTopup:
        """Switch automatic top-ups on, or change them.

        Within a minute of the available credit's fall below the threshold, the saved card is
        charged for what is missing to the target. There is never more than one charge under way,
        and never more than the limit in a calendar month. A declined card is tried again after 1,
        2 and 4 hours; after the fourth decline, or one that no later try can mend, it is paused
        until a payment succeeds.
        """
        return self.call(set_auto_topup(organization_id, **body))

    def get_balance(self, organization_id: UUID | str) -> models.Balance:
        """Get the balance of an organization.

        The credit now, also in the billing currency at the current exchange rate.
        """
        return self.call(get_balance(organization_id))

    def get_balance_history(
        self, organization_id: UUID | str, *, from_: str | None = None, to: str | None = None
    ) -> models.BalanceHistory:
        """Get the closing balance of each day.

        Days are those of the organization's time zone; that of today is the balance now. Each is
        the balance after a transaction, whose `version` it names. At most 400 days.
        """
        return self.call(get_balance_history(organization_id, from_=from_, to=to))

    def list_budgets(
        self, organization_id: UUID | str, *, limit: int | None = None
    ) -> Iterator[models.Budget]:
        """List the budgets of an organization.

        Newest first, each with what it contains now.
        """
        return self.pages(list_budgets(organization_id, limit=limit), models.Budget)

    def create_budget(
        self, organization_id: UUID | str, **body: Unpack[requests.NewBudget]
    ) -> models.Budget:
        """Create a budget of an organization, a team, a key, a person, a model or a provider.

        It counts what its present window contains already. A hard budget refuses charges and holds
        that would exceed it, with 402 `budget_exceeded`; a soft one only alerts. A rate lets
        through `burst_usd` at once and `limit_usd` per hour in the long run.
        """
        return self.call(create_budget(organization_id, **body))

    def delete_budget(self, organization_id: UUID | str, budget_id: UUID | str) -> models.Budget:
        """Delete a budget.

        Answers the budget as it was.
        """
        return self.call(delete_budget(organization_id, budget_id))

    def get_budget(self, organization_id: UUID | str, budget_id: UUID | str) -> models.Budget:
        """Get a budget.

        With what its window contains now.
        """
        return self.call(get_budget(organization_id, budget_id))

    def update_budget(
        self,
        organization_id: UUID | str,
        budget_id: UUID | str,
        **body: Unpack[requests.BudgetChange],
    ) -> models.Budget:
        """Change the limit, the mode or the alerts of a budget.

        Changes only the fields that the request names. What is spent stays: a limit below it
        refuses from now on.
        """
        return self.call(update_budget(organization_id, budget_id, **body))

    def create_charge(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.ChargeRequest],
    ) -> models.Transaction | models.Unpriced:
        """Charge an organization for a call.

        Takes the amount from the balance and counts the spend in one transaction. Give
        `request_id`, the id of the LLM call, and the call is charged once, whichever key or route
        it comes by. The amount is `amount_usd`, or the price of the tokens in `usage`; usage whose
        model has no price yet is kept, answered by 202, and charged when the price comes.
        """
        return self.call(create_charge(organization_id, idempotency_key=idempotency_key, **body))

    def list_clients(self, organization_id: UUID | str) -> models.OrganizationClients:
        """List the clients of an organization.

        Oldest first, with those that were revoked.
        """
        return self.call(list_clients(organization_id))

    def create_client(
        self, organization_id: UUID | str, **body: Unpack[requests.NewClient]
    ) -> models.OrganizationClientWithSecret:
        """Create a client of an organization.

        A program that gets tokens of this organization alone, by `POST /v1/tokens` with its id and
        its secret, which the answer shows, this once. Needs the platform's own token.
        """
        return self.call(create_client(organization_id, **body))

    def revoke_client(
        self, organization_id: UUID | str, client_id: UUID | str
    ) -> models.OrganizationClient:
        """Revoke a client.

        It gets no more tokens, and those that it has are refused within a minute.
        """
        return self.call(revoke_client(organization_id, client_id))

    def rotate_client_secret(
        self, organization_id: UUID | str, client_id: UUID | str
    ) -> models.OrganizationClientWithSecret:
        """Give a client a new secret.

        The old secret is good for 24 more hours. One that was stolen ends at once with its client:
        revoke that, and create another.
        """
        return self.call(rotate_client_secret(organization_id, client_id))

    def create_document_link(
        self, organization_id: UUID | str, **body: Unpack[requests.NewDocumentLink]
    ) -> models.DocumentLink:
        """Link to the document of an invoice or of a credit note.

        Anybody who has the link opens this document, and nothing else, without a token, for five
        minutes.
        """
        return self.call(create_document_link(organization_id, **body))

    def erase_personal_data(
        self,
        organization_id: UUID | str,
        *,
        cursor: str | None = None,
        **body: Unpack[requests.ErasureRequest],
    ) -> models.Erasure:
        """Erase the personal data of an organization or a person.

        Empties descriptions and initiators, and with `profile` the name, address and tax id.
        Amounts, times and issued invoices stay. Repeat with `cursor` until `next_cursor` is null.
        """
        return self.call(erase_personal_data(organization_id, cursor=cursor, **body))

    def get_forecast(
        self, organization_id: UUID | str, *, days: int | None = None
    ) -> models.SpendForecast:
        """Forecast the spend of an organization.

        What is expected to be charged by day, with bounds between which four of five are, and when
        that exceeds the credit that is available now. It is made once per day, in the night.
        """
        return self.call(get_forecast(organization_id, days=days))

    def list_grants(
        self, organization_id: UUID | str, *, status: str | None = None, limit: int | None = None
    ) -> Iterator[models.Grant]:
        """List the credit grants of an organization, newest first.

        Each as it is now: what is left of it, and whether it can be used.
        """
        return self.pages(list_grants(organization_id, status=status, limit=limit), models.Grant)

    def create_grant(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.GrantRequest],
    ) -> models.Grant:
        """Grant promotional credit, at once or from a later time on.

        With `every`, the credit is granted again at the beginning of each month in the
        organization's time zone, and each grant expires with its month. To stop that, void the
        scheduled grant.
        """
        return self.call(create_grant(organization_id, idempotency_key=idempotency_key, **body))

    def void_grant(
        self,
        organization_id: UUID | str,
        grant_id: UUID | str,
        *,
        idempotency_key: str | None = None,
    ) -> models.Transaction:
        """Void a credit grant.

        Takes back what is left of it. Credit that unexpired holds need stays until they end. A
        scheduled grant does not start, and no later one of its schedule follows it.
        """
        return self.call(void_grant(organization_id, grant_id, idempotency_key=idempotency_key))

    def list_holds(
        self,
        organization_id: UUID | str,
        *,
        status: str | None = None,
        request_id: str | None = None,
        limit: int | None = None,
    ) -> Iterator[models.Hold]:
        """List the holds of an organization.

        Newest first, with their states now.
        """
        return self.pages(
            list_holds(organization_id, status=status, request_id=request_id, limit=limit),
            models.Hold,
        )

    def create_hold(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.HoldRequest],
    ) -> models.Hold:
        """Hold credit for a call whose cost is not known yet.

        The balance stays and the available credit shrinks, until the hold is captured or released,
        or expires by itself.
        """
        return self.call(create_hold(organization_id, idempotency_key=idempotency_key, **body))

    def get_hold(self, organization_id: UUID | str, hold_id: UUID | str) -> models.Hold:
        """Get a hold.

        Its state is that of now: it is expired once its time has passed.
        """
        return self.call(get_hold(organization_id, hold_id))

    def update_hold(
        self, organization_id: UUID | str, hold_id: UUID | str, **body: Unpack[requests.HoldChange]
    ) -> models.Hold:
        """Change how much a hold reserves, and for how long from now.

        A larger amount needs the credit, and the budgets. A hold that has ended is not changed.
        """
        return self.call(update_hold(organization_id, hold_id, **body))

    def capture_hold(
        self,
        organization_id: UUID | str,
        hold_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.CaptureRequest],
    ) -> models.Transaction | models.Unpriced:
        """Capture a hold: charge what the call did cost.

        Charges at most the held amount and frees the rest at once. A hold that has expired can
        still be captured if the credit is still available. Usage that is left out is that of the
        hold. Tokens of a model without a price are kept as those of a charge are, and the hold
        stays.
        """
        return self.call(
            capture_hold(organization_id, hold_id, idempotency_key=idempotency_key, **body)
        )

    def release_hold(
        self,
        organization_id: UUID | str,
        hold_id: UUID | str,
        *,
        idempotency_key: str | None = None,
    ) -> models.Hold:
        """Release a hold.

        Frees all of the held amount. Nothing is charged.
        """
        return self.call(release_hold(organization_id, hold_id, idempotency_key=idempotency_key))

    def set_organization_home(
        self, organization_id: UUID | str, **body: Unpack[requests.NewOrganizationHome]
    ) -> models.OrganizationHome:
        """Record which other region holds an organization.

        Needs `billing:platform` too. Requests for the organization are then answered 421, with the
        URL of that region.
        """
        return self.call(set_organization_home(organization_id, **body))

    def list_invoices(
        self, organization_id: UUID | str, *, status: str | None = None, limit: int | None = None
    ) -> Iterator[models.InvoiceSummary]:
        """List the invoices of an organization.

        Newest first, optionally of one status, each without its lines.
        """
        return self.pages(
            list_invoices(organization_id, status=status, limit=limit), models.InvoiceSummary
        )

    def draft_invoice(
        self, organization_id: UUID | str, **body: Unpack[requests.InvoicePeriod]
    ) -> models.Invoice:
        """Draft the invoice of a period.

        Answers 200 with the same draft, computed again, if it exists.
        """
        return self.call(draft_invoice(organization_id, **body))

    def get_invoice(self, organization_id: UUID | str, invoice_id: UUID | str) -> models.Invoice:
        """Get an invoice as JSON, PDF or CSV.

        The header `Accept` chooses; JSON unless it names another. Each shows the 500 largest
        lines, and the sums of the others, which `/lines` lists.
        """
        return self.call(get_invoice(organization_id, invoice_id))

    def get_invoice_document(
        self, organization_id: UUID | str, invoice_id: UUID | str, media_type: str
    ) -> bytes:
        """Return the document itself, as `application/pdf` or `text/csv`."""
        return self.call(document_of(get_invoice(organization_id, invoice_id), media_type))

    def cancel_invoice(self, organization_id: UUID | str, invoice_id: UUID | str) -> models.Invoice:
        """Cancel a draft.

        Or a statement, which asks for nothing; any other is reversed by a credit note.
        """
        return self.call(cancel_invoice(organization_id, invoice_id))

    def list_credit_notes(
        self, organization_id: UUID | str, invoice_id: UUID | str, *, limit: int | None = None
    ) -> Iterator[models.CreditNote]:
        """List the credit notes of an invoice.

        Oldest first.
        """
        return self.pages(
            list_credit_notes(organization_id, invoice_id, limit=limit), models.CreditNote
        )

    def create_credit_note(
        self,
        organization_id: UUID | str,
        invoice_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.CreditNoteRequest],
    ) -> models.CreditNote:
        """Credit an issued invoice, whole or in part.

        An invoice that is credited in full is cancelled. With `reissue`, the invoice of a top-up
        is credited whole and issued again to the parties of today, in one act and without moving
        credit.
        """
        return self.call(
            create_credit_note(organization_id, invoice_id, idempotency_key=idempotency_key, **body)
        )

    def get_credit_note(
        self, organization_id: UUID | str, invoice_id: UUID | str, credit_note_id: UUID | str
    ) -> models.CreditNote:
        """Get a credit note as JSON, PDF or CSV.

        The header `Accept` chooses; JSON unless it names another.
        """
        return self.call(get_credit_note(organization_id, invoice_id, credit_note_id))

    def get_credit_note_document(
        self,
        organization_id: UUID | str,
        invoice_id: UUID | str,
        credit_note_id: UUID | str,
        media_type: str,
    ) -> bytes:
        """Return the document itself, as `application/pdf` or `text/csv`."""
        return self.call(
            document_of(get_credit_note(organization_id, invoice_id, credit_note_id), media_type)
        )

    def issue_invoice(self, organization_id: UUID | str, invoice_id: UUID | str) -> models.Invoice:
        """Issue an invoice.

        Computes the draft a last time and gives it its number. Issuing again changes nothing.
        """
        return self.call(issue_invoice(organization_id, invoice_id))

    def list_invoice_lines(
        self, organization_id: UUID | str, invoice_id: UUID | str, *, limit: int | None = None
    ) -> Iterator[models.LineItem]:
        """List the lines of an invoice, as JSON or CSV.

        The largest amount first. Lines of a draft that is computed again meanwhile may change
        their places.
        """
        return self.pages(
            list_invoice_lines(organization_id, invoice_id, limit=limit), models.LineItem
        )

    def pay_invoice(
        self,
        organization_id: UUID | str,
        invoice_id: UUID | str,
        **body: Unpack[requests.InvoicePayment],
    ) -> models.Invoice:
        """Mark an invoice as paid.

        Takes an issued or overdue invoice, whose debt a top-up of the net amount covers. Paying
        again changes nothing.
        """
        return self.call(pay_invoice(organization_id, invoice_id, **body))

    def create_payment_link(
        self,
        organization_id: UUID | str,
        invoice_id: UUID | str,
        **body: Unpack[requests.NewPaymentLink],
    ) -> models.PaymentLink:
        """Create a link to pay an invoice.

        Whoever has the token may see what that invoice asks for, and pay it, until the link
        expires.
        """
        return self.call(create_payment_link(organization_id, invoice_id, **body))

    def delete_label(
        self, organization_id: UUID | str, *, kind: str | None = None, id: str | None = None
    ) -> models.Label:
        """Delete the name of a team or a virtual key.

        Answers the name as it was.
        """
        return self.call(delete_label(organization_id, kind=kind, id=id))

    def list_labels(
        self, organization_id: UUID | str, *, kind: str | None = None, limit: int | None = None
    ) -> Iterator[models.Label]:
        """List the names of teams and virtual keys.

        By kind and id.
        """
        return self.pages(list_labels(organization_id, kind=kind, limit=limit), models.Label)

    def put_label(
        self, organization_id: UUID | str, **body: Unpack[requests.NewLabel]
    ) -> models.Label:
        """Name a team or a virtual key.

        Or rename it: `team_name` and `virtual_key_name` are shown beside the ids in spending, and
        `subject_name` in budgets.
        """
        return self.call(put_label(organization_id, **body))

    def list_payments(
        self, organization_id: UUID | str, *, status: str | None = None, limit: int | None = None
    ) -> Iterator[models.Payment]:
        """List the payments of an organization, newest first.

        Each as it was settled last.
        """
        return self.pages(
            list_payments(organization_id, status=status, limit=limit), models.Payment
        )

    def create_payment(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.NewPayment],
    ) -> models.Payment:
        """Create a payment of credit, or of an invoice.

        The payer pays at `checkout_url`. Tax comes on top of the credit's price, in the billing
        currency; `preview` shows it before. An invoice has one open payment, which is returned if
        it exists. Credit comes when the provider says that it was paid. A closed organization can
        pay its invoices, and buys no credit.
        """
        return self.call(create_payment(organization_id, idempotency_key=idempotency_key, **body))

    def preview_payment(
        self, organization_id: UUID | str, **body: Unpack[requests.PreviewRequest]
    ) -> models.PaymentPreview:
        """Preview a payment of credit.

        Shows price, tax and total in the billing currency at the current exchange rate, and stores
        nothing.
        """
        return self.call(preview_payment(organization_id, **body))

    def get_payment(self, organization_id: UUID | str, payment_id: UUID | str) -> models.Payment:
        """Get a payment.

        The provider is asked about an open one, so that credit comes also when no webhook does.
        """
        return self.call(get_payment(organization_id, payment_id))

    def refund_payment(
        self,
        organization_id: UUID | str,
        payment_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.PaymentRefundRequest],
    ) -> models.PaymentRefund:
        """Refund a payment to its payer, whole or in part.

        Takes unspent credit of the payment and gives back what was paid for it, with tax. Spent
        credit is refunded only with `allow_negative_balance`, and becomes debt.
        """
        return self.call(
            refund_payment(organization_id, payment_id, idempotency_key=idempotency_key, **body)
        )

    def export_personal_data(
        self,
        organization_id: UUID | str,
        *,
        initiated_by: str | None = None,
        limit: int | None = None,
    ) -> Iterator[models.PersonalDataRecord]:
        """Export the personal data of an organization or a person.

        Kind by kind, each newest first. A page may be empty: go on until `next_cursor` is null.
        """
        return self.pages(
            export_personal_data(organization_id, initiated_by=initiated_by, limit=limit),
            models.PersonalDataRecord,
        )

    def create_refund(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.RefundRequest],
    ) -> models.Transaction:
        """Refund a charge, whole or in part.

        Gives credit back to the grants that the charge took it from, last taken first, never more
        than it took. Credit of a grant that has ended comes back as a new grant, which lives for
        30 days, or as many as the operator has set.
        """
        return self.call(create_refund(organization_id, idempotency_key=idempotency_key, **body))

    def list_spend_logs(
        self,
        organization_id: UUID | str,
        *,
        team_id: str | None = None,
        virtual_key_id: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        request_id: str | None = None,
        reference_id: str | None = None,
        end_user: str | None = None,
        from_: datetime | date | str | None = None,
        to: datetime | date | str | None = None,
        limit: int | None = None,
    ) -> Iterator[models.SpendLog]:
        """List the spend logs of an organization, as JSON or CSV.

        Newest first, those that have every field that the filters name, optionally of a period. A
        page of rare ones may have few, or none, and still a cursor.
        """
        return self.pages(
            list_spend_logs(
                organization_id,
                team_id=team_id,
                virtual_key_id=virtual_key_id,
                model=model,
                provider=provider,
                request_id=request_id,
                reference_id=reference_id,
                end_user=end_user,
                from_=from_,
                to=to,
                limit=limit,
            ),
            models.SpendLog,
        )

    def create_spend_log(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.SpendLogRequest],
    ) -> models.SpendLog:
        """Log the spend of a call without charging it.

        The key is optional; without a key and without a `request_id`, a retry counts twice.
        """
        return self.call(create_spend_log(organization_id, idempotency_key=idempotency_key, **body))

    def get_spending(
        self,
        organization_id: UUID | str,
        *,
        team_id: str | None = None,
        virtual_key_id: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        from_: datetime | date | str | None = None,
        to: datetime | date | str | None = None,
        group_by: str | None = None,
        top: int | None = None,
    ) -> models.Spending:
        """Sum the spend of an organization.

        Exact sums of a period by any mix of dimensions, of the calls that have every field that
        the filters name; without a period, of the current month in the time zone of the
        organization. A day, month or hour without spend has no item. The hours of at most 7 days
        can be summed. An answer has at most 10,000 groups and 6 MB. A token of the platform gets
        the cost and the margin too.
        """
        return self.call(
            get_spending(
                organization_id,
                team_id=team_id,
                virtual_key_id=virtual_key_id,
                model=model,
                provider=provider,
                from_=from_,
                to=to,
                group_by=group_by,
                top=top,
            )
        )

    def create_topup(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.TopUpRequest],
    ) -> models.Transaction:
        """Top up credit that was paid for.

        A `reference_id` names the payment, which is credited once. The credit is a grant, which
        covers debt first; `paid` says what was paid for it in another currency.
        """
        return self.call(create_topup(organization_id, idempotency_key=idempotency_key, **body))

    def get_topup_invoice(
        self, organization_id: UUID | str, transaction_id: UUID | str
    ) -> models.Invoice:
        """Get the invoice of a top-up as JSON, PDF or CSV.

        It is issued within a minute of the top-up, or now. The header `Accept` chooses; JSON
        unless it names another.
        """
        return self.call(get_topup_invoice(organization_id, transaction_id))

    def get_topup_invoice_document(
        self, organization_id: UUID | str, transaction_id: UUID | str, media_type: str
    ) -> bytes:
        """Return the document itself, as `application/pdf` or `text/csv`."""
        return self.call(
            document_of(get_topup_invoice(organization_id, transaction_id), media_type)
        )

    def list_transactions(
        self,
        organization_id: UUID | str,
        *,
        team_id: str | None = None,
        virtual_key_id: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        request_id: str | None = None,
        reference_id: str | None = None,
        end_user: str | None = None,
        type: str | None = None,
        from_: datetime | date | str | None = None,
        to: datetime | date | str | None = None,
        limit: int | None = None,
    ) -> Iterator[models.Transaction]:
        """List the transactions of an organization, as JSON or CSV.

        Newest first, those that have every field that the filters name, optionally of a period. A
        page of rare ones may have few, or none, and still a cursor.
        """
        return self.pages(
            list_transactions(
                organization_id,
                team_id=team_id,
                virtual_key_id=virtual_key_id,
                model=model,
                provider=provider,
                request_id=request_id,
                reference_id=reference_id,
                end_user=end_user,
                type=type,
                from_=from_,
                to=to,
                limit=limit,
            ),
            models.Transaction,
        )

    def get_transaction(
        self, organization_id: UUID | str, transaction_id: UUID | str
    ) -> models.Transaction:
        """Get a transaction.

        It never changes, but for an erasure of its personal fields.
        """
        return self.call(get_transaction(organization_id, transaction_id))

    def get_receipt(
        self, organization_id: UUID | str, transaction_id: UUID | str
    ) -> models.Receipt:
        """Get the receipt of a transaction.

        How its amount came to be, which grants paid for it, which budgets counted it, what of it
        was refunded, the invoice that it is on, and the proof of its hash, which anybody can
        compute again by SHA-256 alone.
        """
        return self.call(get_receipt(organization_id, transaction_id))

    def list_webhook_endpoints(self, organization_id: UUID | str) -> models.WebhookEndpoints:
        """List the webhook endpoints of an organization.

        Oldest first.
        """
        return self.call(list_webhook_endpoints(organization_id))

    def create_webhook_endpoint(
        self, organization_id: UUID | str, **body: Unpack[requests.NewWebhookEndpoint]
    ) -> models.WebhookEndpointWithSecret:
        """Create a webhook endpoint.

        The answer shows the secret that signs its webhooks, this once.
        """
        return self.call(create_webhook_endpoint(organization_id, **body))

    def delete_webhook_endpoint(
        self, organization_id: UUID | str, endpoint_id: UUID | str
    ) -> models.WebhookEndpoint:
        """Delete a webhook endpoint.

        And what was still to be sent to it. Answers the endpoint as it was.
        """
        return self.call(delete_webhook_endpoint(organization_id, endpoint_id))

    def update_webhook_endpoint(
        self,
        organization_id: UUID | str,
        endpoint_id: UUID | str,
        **body: Unpack[requests.WebhookEndpointChange],
    ) -> models.WebhookEndpoint:
        """Change a webhook endpoint.

        Changes only the fields that the request names. `enabled` turns a disabled endpoint on
        again.
        """
        return self.call(update_webhook_endpoint(organization_id, endpoint_id, **body))

    def replay_webhook_events(
        self,
        organization_id: UUID | str,
        endpoint_id: UUID | str,
        **body: Unpack[requests.WebhookReplay],
    ) -> models.WebhooksReplayed:
        """Send webhook events again.

        Either one event, or all since an instant that the endpoint wants and has not got.
        """
        return self.call(replay_webhook_events(organization_id, endpoint_id, **body))

    def rotate_webhook_secret(
        self, organization_id: UUID | str, endpoint_id: UUID | str
    ) -> models.WebhookEndpointWithSecret:
        """Give a webhook endpoint a new secret.

        The old secret signs too, for 24 hours.
        """
        return self.call(rotate_webhook_secret(organization_id, endpoint_id))

    def list_webhook_events(
        self, organization_id: UUID | str, *, type: str | None = None, limit: int | None = None
    ) -> Iterator[models.WebhookEvent]:
        """List the webhook events of an organization.

        Newest first, each with its deliveries.
        """
        return self.pages(
            list_webhook_events(organization_id, type=type, limit=limit), models.WebhookEvent
        )

    def list_unmatched_payment_events(
        self, *, limit: int | None = None
    ) -> Iterator[models.UnmatchedEvent]:
        """List webhooks of the providers that name no payment that is known, newest first.

        Needs `billing:platform` too. They are of another system at the same provider, or of a
        payment that is missing here; each is settled when its payment appears.
        """
        return self.pages(list_unmatched_payment_events(limit=limit), models.UnmatchedEvent)

    def get_payment_link(self, token: str) -> models.LinkedInvoice:
        """Get what a payment link asks for.

        Needs no token but that of the link.
        """
        return self.call(get_payment_link(token))

    def pay_by_link(
        self, token: str, **body: Unpack[requests.LinkPaymentRequest]
    ) -> models.LinkedPayment:
        """Pay the invoice of a payment link.

        Returns the provider's page on which to pay. The invoice has one open payment, whoever
        asks.
        """
        return self.call(pay_by_link(token, **body))

    def list_platform_payments(
        self,
        *,
        status: str | None = None,
        dispute_state: str | None = None,
        limit: int | None = None,
    ) -> Iterator[models.PlatformPayment]:
        """List the payments of all organizations, newest first.

        Needs `billing:platform` too. Each as it was settled last: those in doubt, whose provider
        has not answered, have the status `unknown`; those that a payer disputes have the dispute's
        state.
        """
        return self.pages(
            list_platform_payments(status=status, dispute_state=dispute_state, limit=limit),
            models.PlatformPayment,
        )

    def list_prices(
        self,
        *,
        organization_id: UUID | str | None = None,
        provider: str | None = None,
        model: str | None = None,
        at: datetime | str | None = None,
        limit: int | None = None,
    ) -> Iterator[models.Price]:
        """List prices.

        The newest come first. A price that was replaced is listed too, unless `at` is given.
        """
        return self.pages(
            list_prices(
                organization_id=organization_id, provider=provider, model=model, at=at, limit=limit
            ),
            models.Price,
        )

    def create_price(self, **body: Unpack[requests.NewPrice]) -> models.Price:
        """Add the price of a model.

        It replaces the price in force from `effective_from` on; what it replaces stays stored.
        Usage that waited for this price is charged.
        """
        return self.call(create_price(**body))

    def import_prices(self, **body: Unpack[requests.PriceImport]) -> models.PriceImported:
        """Import a price list.

        Adds each price that differs from the one in force; the same list again adds none. A model
        that is not understood is refused by name and does not affect the others. Usage that waited
        for these prices is charged.
        """
        return self.call(import_prices(**body))

    def get_price(self, price_id: UUID | str) -> models.Price:
        """Read one price.

        A price that was replaced can be read too.
        """
        return self.call(get_price(price_id))

    def create_quote(self, **body: Unpack[requests.QuoteRequest]) -> models.Quote:
        """Price usage.

        Tells what the usage would cost now, and by which rates; nothing is charged.
        """
        return self.call(create_quote(**body))

    def create_rerating(self, **body: Unpack[requests.NewRerating]) -> models.Rerating:
        """Correct what the usage of a model was charged in a period.

        Rates the charges again by the price as it is known now, and adjusts each organization once
        by the difference. A second run finds nothing left. Refunded charges are left alone. By
        default it is a dry run, which changes nothing.
        """
        return self.call(create_rerating(**body))

    def get_revenue(self, *, month: str | None = None) -> models.Revenue:
        """Get the revenue of a month, as JSON or CSV.

        Needs `billing:platform` too. Deferred revenue, what was sold, recognized, lost by expiry
        and paid out, per organization and in total, with a journal. CSV has a row per
        organization. The figures of a month that has ended never change.
        """
        return self.call(get_revenue(month=month))

    def get_revenue_document(self, media_type: str, *, month: str | None = None) -> bytes:
        """Return the document itself, as `text/csv`."""
        return self.call(document_of(get_revenue(month=month), media_type))

    def get_platform_spending(
        self,
        *,
        team_id: str | None = None,
        virtual_key_id: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        from_: datetime | str | None = None,
        to: datetime | str | None = None,
        group_by: str | None = None,
        top: int | None = None,
    ) -> models.PlatformSpending:
        """Sum the spend of all organizations.

        Needs `billing:platform` too. Exact sums of a period by any mix of dimensions, days and
        months being those of each organization; without a period, of the current month in UTC. An
        answer has at most 10,000 groups and 6 MB.
        """
        return self.call(
            get_platform_spending(
                team_id=team_id,
                virtual_key_id=virtual_key_id,
                model=model,
                provider=provider,
                from_=from_,
                to=to,
                group_by=group_by,
                top=top,
            )
        )

    def create_token(self, **body: Unpack[requests.TokenRequest]) -> models.Token:
        """Get a token of an organization's client.

        OAuth 2.0's client credentials grant (RFC 6749, 4.4): the body may be a form, and the
        client may name itself by HTTP Basic. Keep the token until it expires; each one costs.
        """
        return self.call(create_token(**body))

    def list_unpriced_usage(self, *, limit: int | None = None) -> Iterator[models.Unpriced]:
        """List usage that waits for a price.

        Or for the credit that its price needs. The newest comes first.
        """
        return self.pages(list_unpriced_usage(limit=limit), models.Unpriced)

    def list_refused_usage_events(
        self, *, limit: int | None = None
    ) -> Iterator[models.RefusedEvent]:
        """List refused usage events.

        Those that were too late, invalid or not covered by credit, newest first, each until a
        later try of it is accepted.
        """
        return self.pages(list_refused_usage_events(limit=limit), models.RefusedEvent)


class AsyncOperations(abc.ABC):
    """A method for each route; the client inherits them."""

    @abc.abstractmethod
    async def call[T](self, call: Call[T]) -> T:
        """Send a call, again where the contract says so, and return its answer."""

    @abc.abstractmethod
    def pages[T](self, call: Call[object], item: type[T]) -> AsyncIterator[T]:
        """Yield the items of a list, page after page."""

    async def get_health(self) -> models.Health:
        """Get the state of the database, the cache and the rates.

        Needs no token. 200 while charges can be taken, 503 otherwise. It may be two seconds old.
        """
        return await self.call(get_health())

    async def invalidate_cache(
        self, **body: Unpack[requests.CacheInvalidationRequest]
    ) -> models.CacheInvalidation:
        """Invalidate cached values of an organization.

        All of them, unless the request names keys, a pattern or tags.
        """
        return await self.call(invalidate_cache(**body))

    async def get_cache_statistics(self) -> models.CacheStatistics:
        """Get the cache statistics of one container.

        Each container counts for itself, and any of them may answer.
        """
        return await self.call(get_cache_statistics())

    async def create_charges(self, **body: Unpack[requests.BatchRequest]) -> models.BatchAnswer:
        """Charge up to 1,000 calls at once.

        Answers one result per charge, in order. A failed charge does not affect the others. Each
        has the `idempotency_key` that it would have had alone.
        """
        return await self.call(create_charges(**body))

    async def list_exchange_rates(self) -> models.ExchangeRates:
        """List the exchange rates of all billing currencies.

        The last known rates; `stale` tells that they are old or the static fallback.
        """
        return await self.call(list_exchange_rates())

    async def get_exchange_rate(self, currency: str) -> models.ExchangeRate:
        """Get the exchange rate of one currency.

        The last known rate; `stale` tells that it is old or the static fallback.
        """
        return await self.call(get_exchange_rate(currency))

    async def get_platform_forecast(self, *, days: int | None = None) -> models.ExpectedSpend:
        """Forecast the spend of all organizations together.

        Needs `billing:platform` too. The first day is the oldest that has not ended in every time
        zone; days are those of each organization.
        """
        return await self.call(get_platform_forecast(days=days))

    async def get_month_end(self, month: str) -> models.MonthEndProgress:
        """Get the progress of a month end.

        Needs `billing:platform` too. Counts the organizations that were billed, and lists
        failures.
        """
        return await self.call(get_month_end(month))

    def list_organizations(
        self,
        *,
        external_id: str | None = None,
        q: str | None = None,
        status: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[models.OrganizationWithBalance]:
        """List the organizations of the platform, each with its credit now.

        Newest first, or in the order that `sort` names, with the totals of all of them. Only a
        token with `billing:platform` may. An organization may move while the pages of an order are
        read.
        """
        return self.pages(
            list_organizations(external_id=external_id, q=q, status=status, sort=sort, limit=limit),
            models.OrganizationWithBalance,
        )

    async def create_organization(
        self, **body: Unpack[requests.NewOrganization]
    ) -> models.Organization:
        """Create an organization.

        An `id` of your own makes the creation safe to retry.
        """
        return await self.call(create_organization(**body))

    async def get_organization(self, organization_id: UUID | str) -> models.Organization:
        """Get the billing profile of an organization.

        It may be a few seconds old.
        """
        return await self.call(get_organization(organization_id))

    async def update_organization(
        self, organization_id: UUID | str, **body: Unpack[requests.OrganizationChange]
    ) -> models.Organization:
        """Change the billing profile of an organization.

        Changes only the fields that the request names. A new currency affects future invoices
        only. A token with `billing:settings` alone may change the address, the e-mail address, the
        tax id and the alerts `low_balance_threshold_usd` and `runs_out_alert_days`.
        """
        return await self.call(update_organization(organization_id, **body))

    async def create_adjustment(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.AdjustmentRequest],
    ) -> models.Transaction:
        """Adjust a balance by a signed amount.

        A positive amount is a grant. A negative one takes credit as a charge does, and more than
        is available only with `allow_negative_balance`; charges and holds then wait for credit.
        """
        return await self.call(
            create_adjustment(organization_id, idempotency_key=idempotency_key, **body)
        )

    async def delete_auto_topup(self, organization_id: UUID | str) -> models.AutoTopup:
        """Switch automatic top-ups off.

        Answers them as they were. A charge that is under way goes on.
        """
        return await self.call(delete_auto_topup(organization_id))

    async def get_auto_topup(self, organization_id: UUID | str) -> models.AutoTopup:
        """Get the automatic top-ups of an organization.

        Tells what was bought this month, and whether the card was declined.
        """
        return await self.call(get_auto_topup(organization_id))

    async def set_auto_topup(
        self, organization_id: UUID | str, **body: Unpack[requests.AutoTopupRequest]
    ) -> models.AutoTopup:
        """Switch automatic top-ups on, or change them.

        Within a minute of the available credit's fall below the threshold, the saved card is
        charged for what is missing to the target. There is never more than one charge under way,
        and never more than the limit in a calendar month. A declined card is tried again after 1,
        2 and 4 hours; after the fourth decline, or one that no later try can mend, it is paused
        until a payment succeeds.
        """
        return await self.call(set_auto_topup(organization_id, **body))

    async def get_balance(self, organization_id: UUID | str) -> models.Balance:
        """Get the balance of an organization.

        The credit now, also in the billing currency at the current exchange rate.
        """
        return await self.call(get_balance(organization_id))

    async def get_balance_history(
        self, organization_id: UUID | str, *, from_: str | None = None, to: str | None = None
    ) -> models.BalanceHistory:
        """Get the closing balance of each day.

        Days are those of the organization's time zone; that of today is the balance now. Each is
        the balance after a transaction, whose `version` it names. At most 400 days.
        """
        return await self.call(get_balance_history(organization_id, from_=from_, to=to))

    def list_budgets(
        self, organization_id: UUID | str, *, limit: int | None = None
    ) -> AsyncIterator[models.Budget]:
        """List the budgets of an organization.

        Newest first, each with what it contains now.
        """
        return self.pages(list_budgets(organization_id, limit=limit), models.Budget)

    async def create_budget(
        self, organization_id: UUID | str, **body: Unpack[requests.NewBudget]
    ) -> models.Budget:
        """Create a budget of an organization, a team, a key, a person, a model or a provider.

        It counts what its present window contains already. A hard budget refuses charges and holds
        that would exceed it, with 402 `budget_exceeded`; a soft one only alerts. A rate lets
        through `burst_usd` at once and `limit_usd` per hour in the long run.
        """
        return await self.call(create_budget(organization_id, **body))

    async def delete_budget(
        self, organization_id: UUID | str, budget_id: UUID | str
    ) -> models.Budget:
        """Delete a budget.

        Answers the budget as it was.
        """
        return await self.call(delete_budget(organization_id, budget_id))

    async def get_budget(self, organization_id: UUID | str, budget_id: UUID | str) -> models.Budget:
        """Get a budget.

        With what its window contains now.
        """
        return await self.call(get_budget(organization_id, budget_id))

    async def update_budget(
        self,
        organization_id: UUID | str,
        budget_id: UUID | str,
        **body: Unpack[requests.BudgetChange],
    ) -> models.Budget:
        """Change the limit, the mode or the alerts of a budget.

        Changes only the fields that the request names. What is spent stays: a limit below it
        refuses from now on.
        """
        return await self.call(update_budget(organization_id, budget_id, **body))

    async def create_charge(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.ChargeRequest],
    ) -> models.Transaction | models.Unpriced:
        """Charge an organization for a call.

        Takes the amount from the balance and counts the spend in one transaction. Give
        `request_id`, the id of the LLM call, and the call is charged once, whichever key or route
        it comes by. The amount is `amount_usd`, or the price of the tokens in `usage`; usage whose
        model has no price yet is kept, answered by 202, and charged when the price comes.
        """
        return await self.call(
            create_charge(organization_id, idempotency_key=idempotency_key, **body)
        )

    async def list_clients(self, organization_id: UUID | str) -> models.OrganizationClients:
        """List the clients of an organization.

        Oldest first, with those that were revoked.
        """
        return await self.call(list_clients(organization_id))

    async def create_client(
        self, organization_id: UUID | str, **body: Unpack[requests.NewClient]
    ) -> models.OrganizationClientWithSecret:
        """Create a client of an organization.

        A program that gets tokens of this organization alone, by `POST /v1/tokens` with its id and
        its secret, which the answer shows, this once. Needs the platform's own token.
        """
        return await self.call(create_client(organization_id, **body))

    async def revoke_client(
        self, organization_id: UUID | str, client_id: UUID | str
    ) -> models.OrganizationClient:
        """Revoke a client.

        It gets no more tokens, and those that it has are refused within a minute.
        """
        return await self.call(revoke_client(organization_id, client_id))

    async def rotate_client_secret(
        self, organization_id: UUID | str, client_id: UUID | str
    ) -> models.OrganizationClientWithSecret:
        """Give a client a new secret.

        The old secret is good for 24 more hours. One that was stolen ends at once with its client:
        revoke that, and create another.
        """
        return await self.call(rotate_client_secret(organization_id, client_id))

    async def create_document_link(
        self, organization_id: UUID | str, **body: Unpack[requests.NewDocumentLink]
    ) -> models.DocumentLink:
        """Link to the document of an invoice or of a credit note.

        Anybody who has the link opens this document, and nothing else, without a token, for five
        minutes.
        """
        return await self.call(create_document_link(organization_id, **body))

    async def erase_personal_data(
        self,
        organization_id: UUID | str,
        *,
        cursor: str | None = None,
        **body: Unpack[requests.ErasureRequest],
    ) -> models.Erasure:
        """Erase the personal data of an organization or a person.

        Empties descriptions and initiators, and with `profile` the name, address and tax id.
        Amounts, times and issued invoices stay. Repeat with `cursor` until `next_cursor` is null.
        """
        return await self.call(erase_personal_data(organization_id, cursor=cursor, **body))

    async def get_forecast(
        self, organization_id: UUID | str, *, days: int | None = None
    ) -> models.SpendForecast:
        """Forecast the spend of an organization.

        What is expected to be charged by day, with bounds between which four of five are, and when
        that exceeds the credit that is available now. It is made once per day, in the night.
        """
        return await self.call(get_forecast(organization_id, days=days))

    def list_grants(
        self, organization_id: UUID | str, *, status: str | None = None, limit: int | None = None
    ) -> AsyncIterator[models.Grant]:
        """List the credit grants of an organization, newest first.

        Each as it is now: what is left of it, and whether it can be used.
        """
        return self.pages(list_grants(organization_id, status=status, limit=limit), models.Grant)

    async def create_grant(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.GrantRequest],
    ) -> models.Grant:
        """Grant promotional credit, at once or from a later time on.

        With `every`, the credit is granted again at the beginning of each month in the
        organization's time zone, and each grant expires with its month. To stop that, void the
        scheduled grant.
        """
        return await self.call(
            create_grant(organization_id, idempotency_key=idempotency_key, **body)
        )

    async def void_grant(
        self,
        organization_id: UUID | str,
        grant_id: UUID | str,
        *,
        idempotency_key: str | None = None,
    ) -> models.Transaction:
        """Void a credit grant.

        Takes back what is left of it. Credit that unexpired holds need stays until they end. A
        scheduled grant does not start, and no later one of its schedule follows it.
        """
        return await self.call(
            void_grant(organization_id, grant_id, idempotency_key=idempotency_key)
        )

    def list_holds(
        self,
        organization_id: UUID | str,
        *,
        status: str | None = None,
        request_id: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[models.Hold]:
        """List the holds of an organization.

        Newest first, with their states now.
        """
        return self.pages(
            list_holds(organization_id, status=status, request_id=request_id, limit=limit),
            models.Hold,
        )

    async def create_hold(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.HoldRequest],
    ) -> models.Hold:
        """Hold credit for a call whose cost is not known yet.

        The balance stays and the available credit shrinks, until the hold is captured or released,
        or expires by itself.
        """
        return await self.call(
            create_hold(organization_id, idempotency_key=idempotency_key, **body)
        )

    async def get_hold(self, organization_id: UUID | str, hold_id: UUID | str) -> models.Hold:
        """Get a hold.

        Its state is that of now: it is expired once its time has passed.
        """
        return await self.call(get_hold(organization_id, hold_id))

    async def update_hold(
        self, organization_id: UUID | str, hold_id: UUID | str, **body: Unpack[requests.HoldChange]
    ) -> models.Hold:
        """Change how much a hold reserves, and for how long from now.

        A larger amount needs the credit, and the budgets. A hold that has ended is not changed.
        """
        return await self.call(update_hold(organization_id, hold_id, **body))

    async def capture_hold(
        self,
        organization_id: UUID | str,
        hold_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.CaptureRequest],
    ) -> models.Transaction | models.Unpriced:
        """Capture a hold: charge what the call did cost.

        Charges at most the held amount and frees the rest at once. A hold that has expired can
        still be captured if the credit is still available. Usage that is left out is that of the
        hold. Tokens of a model without a price are kept as those of a charge are, and the hold
        stays.
        """
        return await self.call(
            capture_hold(organization_id, hold_id, idempotency_key=idempotency_key, **body)
        )

    async def release_hold(
        self,
        organization_id: UUID | str,
        hold_id: UUID | str,
        *,
        idempotency_key: str | None = None,
    ) -> models.Hold:
        """Release a hold.

        Frees all of the held amount. Nothing is charged.
        """
        return await self.call(
            release_hold(organization_id, hold_id, idempotency_key=idempotency_key)
        )

    async def set_organization_home(
        self, organization_id: UUID | str, **body: Unpack[requests.NewOrganizationHome]
    ) -> models.OrganizationHome:
        """Record which other region holds an organization.

        Needs `billing:platform` too. Requests for the organization are then answered 421, with the
        URL of that region.
        """
        return await self.call(set_organization_home(organization_id, **body))

    def list_invoices(
        self, organization_id: UUID | str, *, status: str | None = None, limit: int | None = None
    ) -> AsyncIterator[models.InvoiceSummary]:
        """List the invoices of an organization.

        Newest first, optionally of one status, each without its lines.
        """
        return self.pages(
            list_invoices(organization_id, status=status, limit=limit), models.InvoiceSummary
        )

    async def draft_invoice(
        self, organization_id: UUID | str, **body: Unpack[requests.InvoicePeriod]
    ) -> models.Invoice:
        """Draft the invoice of a period.

        Answers 200 with the same draft, computed again, if it exists.
        """
        return await self.call(draft_invoice(organization_id, **body))

    async def get_invoice(
        self, organization_id: UUID | str, invoice_id: UUID | str
    ) -> models.Invoice:
        """Get an invoice as JSON, PDF or CSV.

        The header `Accept` chooses; JSON unless it names another. Each shows the 500 largest
        lines, and the sums of the others, which `/lines` lists.
        """
        return await self.call(get_invoice(organization_id, invoice_id))

    async def get_invoice_document(
        self, organization_id: UUID | str, invoice_id: UUID | str, media_type: str
    ) -> bytes:
        """Return the document itself, as `application/pdf` or `text/csv`."""
        return await self.call(document_of(get_invoice(organization_id, invoice_id), media_type))

    async def cancel_invoice(
        self, organization_id: UUID | str, invoice_id: UUID | str
    ) -> models.Invoice:
        """Cancel a draft.

        Or a statement, which asks for nothing; any other is reversed by a credit note.
        """
        return await self.call(cancel_invoice(organization_id, invoice_id))

    def list_credit_notes(
        self, organization_id: UUID | str, invoice_id: UUID | str, *, limit: int | None = None
    ) -> AsyncIterator[models.CreditNote]:
        """List the credit notes of an invoice.

        Oldest first.
        """
        return self.pages(
            list_credit_notes(organization_id, invoice_id, limit=limit), models.CreditNote
        )

    async def create_credit_note(
        self,
        organization_id: UUID | str,
        invoice_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.CreditNoteRequest],
    ) -> models.CreditNote:
        """Credit an issued invoice, whole or in part.

        An invoice that is credited in full is cancelled. With `reissue`, the invoice of a top-up
        is credited whole and issued again to the parties of today, in one act and without moving
        credit.
        """
        return await self.call(
            create_credit_note(organization_id, invoice_id, idempotency_key=idempotency_key, **body)
        )

    async def get_credit_note(
        self, organization_id: UUID | str, invoice_id: UUID | str, credit_note_id: UUID | str
    ) -> models.CreditNote:
        """Get a credit note as JSON, PDF or CSV.

        The header `Accept` chooses; JSON unless it names another.
        """
        return await self.call(get_credit_note(organization_id, invoice_id, credit_note_id))

    async def get_credit_note_document(
        self,
        organization_id: UUID | str,
        invoice_id: UUID | str,
        credit_note_id: UUID | str,
        media_type: str,
    ) -> bytes:
        """Return the document itself, as `application/pdf` or `text/csv`."""
        return await self.call(
            document_of(get_credit_note(organization_id, invoice_id, credit_note_id), media_type)
        )

    async def issue_invoice(
        self, organization_id: UUID | str, invoice_id: UUID | str
    ) -> models.Invoice:
        """Issue an invoice.

        Computes the draft a last time and gives it its number. Issuing again changes nothing.
        """
        return await self.call(issue_invoice(organization_id, invoice_id))

    def list_invoice_lines(
        self, organization_id: UUID | str, invoice_id: UUID | str, *, limit: int | None = None
    ) -> AsyncIterator[models.LineItem]:
        """List the lines of an invoice, as JSON or CSV.

        The largest amount first. Lines of a draft that is computed again meanwhile may change
        their places.
        """
        return self.pages(
            list_invoice_lines(organization_id, invoice_id, limit=limit), models.LineItem
        )

    async def pay_invoice(
        self,
        organization_id: UUID | str,
        invoice_id: UUID | str,
        **body: Unpack[requests.InvoicePayment],
    ) -> models.Invoice:
        """Mark an invoice as paid.

        Takes an issued or overdue invoice, whose debt a top-up of the net amount covers. Paying
        again changes nothing.
        """
        return await self.call(pay_invoice(organization_id, invoice_id, **body))

    async def create_payment_link(
        self,
        organization_id: UUID | str,
        invoice_id: UUID | str,
        **body: Unpack[requests.NewPaymentLink],
    ) -> models.PaymentLink:
        """Create a link to pay an invoice.

        Whoever has the token may see what that invoice asks for, and pay it, until the link
        expires.
        """
        return await self.call(create_payment_link(organization_id, invoice_id, **body))

    async def delete_label(
        self, organization_id: UUID | str, *, kind: str | None = None, id: str | None = None
    ) -> models.Label:
        """Delete the name of a team or a virtual key.

        Answers the name as it was.
        """
        return await self.call(delete_label(organization_id, kind=kind, id=id))

    def list_labels(
        self, organization_id: UUID | str, *, kind: str | None = None, limit: int | None = None
    ) -> AsyncIterator[models.Label]:
        """List the names of teams and virtual keys.

        By kind and id.
        """
        return self.pages(list_labels(organization_id, kind=kind, limit=limit), models.Label)

    async def put_label(
        self, organization_id: UUID | str, **body: Unpack[requests.NewLabel]
    ) -> models.Label:
        """Name a team or a virtual key.

        Or rename it: `team_name` and `virtual_key_name` are shown beside the ids in spending, and
        `subject_name` in budgets.
        """
        return await self.call(put_label(organization_id, **body))

    def list_payments(
        self, organization_id: UUID | str, *, status: str | None = None, limit: int | None = None
    ) -> AsyncIterator[models.Payment]:
        """List the payments of an organization, newest first.

        Each as it was settled last.
        """
        return self.pages(
            list_payments(organization_id, status=status, limit=limit), models.Payment
        )

    async def create_payment(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.NewPayment],
    ) -> models.Payment:
        """Create a payment of credit, or of an invoice.

        The payer pays at `checkout_url`. Tax comes on top of the credit's price, in the billing
        currency; `preview` shows it before. An invoice has one open payment, which is returned if
        it exists. Credit comes when the provider says that it was paid. A closed organization can
        pay its invoices, and buys no credit.
        """
        return await self.call(
            create_payment(organization_id, idempotency_key=idempotency_key, **body)
        )

    async def preview_payment(
        self, organization_id: UUID | str, **body: Unpack[requests.PreviewRequest]
    ) -> models.PaymentPreview:
        """Preview a payment of credit.

        Shows price, tax and total in the billing currency at the current exchange rate, and stores
        nothing.
        """
        return await self.call(preview_payment(organization_id, **body))

    async def get_payment(
        self, organization_id: UUID | str, payment_id: UUID | str
    ) -> models.Payment:
        """Get a payment.

        The provider is asked about an open one, so that credit comes also when no webhook does.
        """
        return await self.call(get_payment(organization_id, payment_id))

    async def refund_payment(
        self,
        organization_id: UUID | str,
        payment_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.PaymentRefundRequest],
    ) -> models.PaymentRefund:
        """Refund a payment to its payer, whole or in part.

        Takes unspent credit of the payment and gives back what was paid for it, with tax. Spent
        credit is refunded only with `allow_negative_balance`, and becomes debt.
        """
        return await self.call(
            refund_payment(organization_id, payment_id, idempotency_key=idempotency_key, **body)
        )

    def export_personal_data(
        self,
        organization_id: UUID | str,
        *,
        initiated_by: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[models.PersonalDataRecord]:
        """Export the personal data of an organization or a person.

        Kind by kind, each newest first. A page may be empty: go on until `next_cursor` is null.
        """
        return self.pages(
            export_personal_data(organization_id, initiated_by=initiated_by, limit=limit),
            models.PersonalDataRecord,
        )

    async def create_refund(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.RefundRequest],
    ) -> models.Transaction:
        """Refund a charge, whole or in part.

        Gives credit back to the grants that the charge took it from, last taken first, never more
        than it took. Credit of a grant that has ended comes back as a new grant, which lives for
        30 days, or as many as the operator has set.
        """
        return await self.call(
            create_refund(organization_id, idempotency_key=idempotency_key, **body)
        )

    def list_spend_logs(
        self,
        organization_id: UUID | str,
        *,
        team_id: str | None = None,
        virtual_key_id: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        request_id: str | None = None,
        reference_id: str | None = None,
        end_user: str | None = None,
        from_: datetime | date | str | None = None,
        to: datetime | date | str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[models.SpendLog]:
        """List the spend logs of an organization, as JSON or CSV.

        Newest first, those that have every field that the filters name, optionally of a period. A
        page of rare ones may have few, or none, and still a cursor.
        """
        return self.pages(
            list_spend_logs(
                organization_id,
                team_id=team_id,
                virtual_key_id=virtual_key_id,
                model=model,
                provider=provider,
                request_id=request_id,
                reference_id=reference_id,
                end_user=end_user,
                from_=from_,
                to=to,
                limit=limit,
            ),
            models.SpendLog,
        )

    async def create_spend_log(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.SpendLogRequest],
    ) -> models.SpendLog:
        """Log the spend of a call without charging it.

        The key is optional; without a key and without a `request_id`, a retry counts twice.
        """
        return await self.call(
            create_spend_log(organization_id, idempotency_key=idempotency_key, **body)
        )

    async def get_spending(
        self,
        organization_id: UUID | str,
        *,
        team_id: str | None = None,
        virtual_key_id: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        from_: datetime | date | str | None = None,
        to: datetime | date | str | None = None,
        group_by: str | None = None,
        top: int | None = None,
    ) -> models.Spending:
        """Sum the spend of an organization.

        Exact sums of a period by any mix of dimensions, of the calls that have every field that
        the filters name; without a period, of the current month in the time zone of the
        organization. A day, month or hour without spend has no item. The hours of at most 7 days
        can be summed. An answer has at most 10,000 groups and 6 MB. A token of the platform gets
        the cost and the margin too.
        """
        return await self.call(
            get_spending(
                organization_id,
                team_id=team_id,
                virtual_key_id=virtual_key_id,
                model=model,
                provider=provider,
                from_=from_,
                to=to,
                group_by=group_by,
                top=top,
            )
        )

    async def create_topup(
        self,
        organization_id: UUID | str,
        *,
        idempotency_key: str | None = None,
        **body: Unpack[requests.TopUpRequest],
    ) -> models.Transaction:
        """Top up credit that was paid for.

        A `reference_id` names the payment, which is credited once. The credit is a grant, which
        covers debt first; `paid` says what was paid for it in another currency.
        """
        return await self.call(
            create_topup(organization_id, idempotency_key=idempotency_key, **body)
        )

    async def get_topup_invoice(
        self, organization_id: UUID | str, transaction_id: UUID | str
    ) -> models.Invoice:
        """Get the invoice of a top-up as JSON, PDF or CSV.

        It is issued within a minute of the top-up, or now. The header `Accept` chooses; JSON
        unless it names another.
        """
        return await self.call(get_topup_invoice(organization_id, transaction_id))

    async def get_topup_invoice_document(
        self, organization_id: UUID | str, transaction_id: UUID | str, media_type: str
    ) -> bytes:
        """Return the document itself, as `application/pdf` or `text/csv`."""
        return await self.call(
            document_of(get_topup_invoice(organization_id, transaction_id), media_type)
        )

    def list_transactions(
        self,
        organization_id: UUID | str,
        *,
        team_id: str | None = None,
        virtual_key_id: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        request_id: str | None = None,
        reference_id: str | None = None,
        end_user: str | None = None,
        type: str | None = None,
        from_: datetime | date | str | None = None,
        to: datetime | date | str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[models.Transaction]:
        """List the transactions of an organization, as JSON or CSV.

        Newest first, those that have every field that the filters name, optionally of a period. A
        page of rare ones may have few, or none, and still a cursor.
        """
        return self.pages(
            list_transactions(
                organization_id,
                team_id=team_id,
                virtual_key_id=virtual_key_id,
                model=model,
                provider=provider,
                request_id=request_id,
                reference_id=reference_id,
                end_user=end_user,
                type=type,
                from_=from_,
                to=to,
                limit=limit,
            ),
            models.Transaction,
        )

    async def get_transaction(
        self, organization_id: UUID | str, transaction_id: UUID | str
    ) -> models.Transaction:
        """Get a transaction.

        It never changes, but for an erasure of its personal fields.
        """
        return await self.call(get_transaction(organization_id, transaction_id))

    async def get_receipt(
        self, organization_id: UUID | str, transaction_id: UUID | str
    ) -> models.Receipt:
        """Get the receipt of a transaction.

        How its amount came to be, which grants paid for it, which budgets counted it, what of it
        was refunded, the invoice that it is on, and the proof of its hash, which anybody can
        compute again by SHA-256 alone.
        """
        return await self.call(get_receipt(organization_id, transaction_id))

    async def list_webhook_endpoints(self, organization_id: UUID | str) -> models.WebhookEndpoints:
        """List the webhook endpoints of an organization.

        Oldest first.
        """
        return await self.call(list_webhook_endpoints(organization_id))

    async def create_webhook_endpoint(
        self, organization_id: UUID | str, **body: Unpack[requests.NewWebhookEndpoint]
    ) -> models.WebhookEndpointWithSecret:
        """Create a webhook endpoint.

        The answer shows the secret that signs its webhooks, this once.
        """
        return await self.call(create_webhook_endpoint(organization_id, **body))

    async def delete_webhook_endpoint(
        self, organization_id: UUID | str, endpoint_id: UUID | str
    ) -> models.WebhookEndpoint:
        """Delete a webhook endpoint.

        And what was still to be sent to it. Answers the endpoint as it was.
        """
        return await self.call(delete_webhook_endpoint(organization_id, endpoint_id))

    async def update_webhook_endpoint(
        self,
        organization_id: UUID | str,
        endpoint_id: UUID | str,
        **body: Unpack[requests.WebhookEndpointChange],
    ) -> models.WebhookEndpoint:
        """Change a webhook endpoint.

        Changes only the fields that the request names. `enabled` turns a disabled endpoint on
        again.
        """
        return await self.call(update_webhook_endpoint(organization_id, endpoint_id, **body))

    async def replay_webhook_events(
        self,
        organization_id: UUID | str,
        endpoint_id: UUID | str,
        **body: Unpack[requests.WebhookReplay],
    ) -> models.WebhooksReplayed:
        """Send webhook events again.

        Either one event, or all since an instant that the endpoint wants and has not got.
        """
        return await self.call(replay_webhook_events(organization_id, endpoint_id, **body))

    async def rotate_webhook_secret(
        self, organization_id: UUID | str, endpoint_id: UUID | str
    ) -> models.WebhookEndpointWithSecret:
        """Give a webhook endpoint a new secret.

        The old secret signs too, for 24 hours.
        """
        return await self.call(rotate_webhook_secret(organization_id, endpoint_id))

    def list_webhook_events(
        self, organization_id: UUID | str, *, type: str | None = None, limit: int | None = None
    ) -> AsyncIterator[models.WebhookEvent]:
        """List the webhook events of an organization.

        Newest first, each with its deliveries.
        """
        return self.pages(
            list_webhook_events(organization_id, type=type, limit=limit), models.WebhookEvent
        )

    def list_unmatched_payment_events(
        self, *, limit: int | None = None
    ) -> AsyncIterator[models.UnmatchedEvent]:
        """List webhooks of the providers that name no payment that is known, newest first.

        Needs `billing:platform` too. They are of another system at the same provider, or of a
        payment that is missing here; each is settled when its payment appears.
        """
        return self.pages(list_unmatched_payment_events(limit=limit), models.UnmatchedEvent)

    async def get_payment_link(self, token: str) -> models.LinkedInvoice:
        """Get what a payment link asks for.

        Needs no token but that of the link.
        """
        return await self.call(get_payment_link(token))

    async def pay_by_link(
        self, token: str, **body: Unpack[requests.LinkPaymentRequest]
    ) -> models.LinkedPayment:
        """Pay the invoice of a payment link.

        Returns the provider's page on which to pay. The invoice has one open payment, whoever
        asks.
        """
        return await self.call(pay_by_link(token, **body))

    def list_platform_payments(
        self,
        *,
        status: str | None = None,
        dispute_state: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[models.PlatformPayment]:
        """List the payments of all organizations, newest first.

        Needs `billing:platform` too. Each as it was settled last: those in doubt, whose provider
        has not answered, have the status `unknown`; those that a payer disputes have the dispute's
        state.
        """
        return self.pages(
            list_platform_payments(status=status, dispute_state=dispute_state, limit=limit),
            models.PlatformPayment,
        )

    def list_prices(
        self,
        *,
        organization_id: UUID | str | None = None,
        provider: str | None = None,
        model: str | None = None,
        at: datetime | str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[models.Price]:
        """List prices.

        The newest come first. A price that was replaced is listed too, unless `at` is given.
        """
        return self.pages(
            list_prices(
                organization_id=organization_id, provider=provider, model=model, at=at, limit=limit
            ),
            models.Price,
        )

    async def create_price(self, **body: Unpack[requests.NewPrice]) -> models.Price:
        """Add the price of a model.

        It replaces the price in force from `effective_from` on; what it replaces stays stored.
        Usage that waited for this price is charged.
        """
        return await self.call(create_price(**body))

    async def import_prices(self, **body: Unpack[requests.PriceImport]) -> models.PriceImported:
        """Import a price list.

        Adds each price that differs from the one in force; the same list again adds none. A model
        that is not understood is refused by name and does not affect the others. Usage that waited
        for these prices is charged.
        """
        return await self.call(import_prices(**body))

    async def get_price(self, price_id: UUID | str) -> models.Price:
        """Read one price.

        A price that was replaced can be read too.
        """
        return await self.call(get_price(price_id))

    async def create_quote(self, **body: Unpack[requests.QuoteRequest]) -> models.Quote:
        """Price usage.

        Tells what the usage would cost now, and by which rates; nothing is charged.
        """
        return await self.call(create_quote(**body))

    async def create_rerating(self, **body: Unpack[requests.NewRerating]) -> models.Rerating:
        """Correct what the usage of a model was charged in a period.

        Rates the charges again by the price as it is known now, and adjusts each organization once
        by the difference. A second run finds nothing left. Refunded charges are left alone. By
        default it is a dry run, which changes nothing.
        """
        return await self.call(create_rerating(**body))

    async def get_revenue(self, *, month: str | None = None) -> models.Revenue:
        """Get the revenue of a month, as JSON or CSV.

        Needs `billing:platform` too. Deferred revenue, what was sold, recognized, lost by expiry
        and paid out, per organization and in total, with a journal. CSV has a row per
        organization. The figures of a month that has ended never change.
        """
        return await self.call(get_revenue(month=month))

    async def get_revenue_document(self, media_type: str, *, month: str | None = None) -> bytes:
        """Return the document itself, as `text/csv`."""
        return await self.call(document_of(get_revenue(month=month), media_type))

    async def get_platform_spending(
        self,
        *,
        team_id: str | None = None,
        virtual_key_id: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        from_: datetime | str | None = None,
        to: datetime | str | None = None,
        group_by: str | None = None,
        top: int | None = None,
    ) -> models.PlatformSpending:
        """Sum the spend of all organizations.

        Needs `billing:platform` too. Exact sums of a period by any mix of dimensions, days and
        months being those of each organization; without a period, of the current month in UTC. An
        answer has at most 10,000 groups and 6 MB.
        """
        return await self.call(
            get_platform_spending(
                team_id=team_id,
                virtual_key_id=virtual_key_id,
                model=model,
                provider=provider,
                from_=from_,
                to=to,
                group_by=group_by,
                top=top,
            )
        )

    async def create_token(self, **body: Unpack[requests.TokenRequest]) -> models.Token:
        """Get a token of an organization's client.

        OAuth 2.0's client credentials grant (RFC 6749, 4.4): the body may be a form, and the
        client may name itself by HTTP Basic. Keep the token until it expires; each one costs.
        """
        return await self.call(create_token(**body))

    def list_unpriced_usage(self, *, limit: int | None = None) -> AsyncIterator[models.Unpriced]:
        """List usage that waits for a price.

        Or for the credit that its price needs. The newest comes first.
        """
        return self.pages(list_unpriced_usage(limit=limit), models.Unpriced)

    def list_refused_usage_events(
        self, *, limit: int | None = None
    ) -> AsyncIterator[models.RefusedEvent]:
        """List refused usage events.

        Those that were too late, invalid or not covered by credit, newest first, each until a
        later try of it is accepted.
        """
        return self.pages(list_refused_usage_events(limit=limit), models.RefusedEvent)
