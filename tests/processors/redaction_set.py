"""Texts with what is to be found in them, and texts that only look the part: made by a seed, the same on each run."""

import base64
import random
import string

ALNUM = string.ascii_letters + string.digits
SENTENCES = [
    "Please use {} for the staging run.",
    "{}",
    '{{"config": {{"value": "{}"}}, "retries": 3}}',
    "Line one\n{}\nline three",
    "Here it is: {}, do not share it.",
    "Über die Straße: {} – danke schön",
    "log: 2026-11-24T10:00:00Z INFO sent '{}' to worker",
]
NEAR = {
    "secrets": [
        "risk-based-approach-to-management-of-enterprise",
        "task-20240101-nightly-rebuild-of-everything",
        "sk-your-api-key-here-please",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
        "OPENAI_API_KEY=your-api-key-goes-here",
        "api_key = os.environ['OPENAI_API_KEY']",
        "the token: usage was high today",
        "max_tokens: 4096, input_tokens: 1200",
        "password: string",
        "password: required",
        "Password=<your password>",
        "the secret: always be kind to people",
        "https://example.com/path/to/a/very/long/page-name.html?page=2&sort=ascending",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 fixed it",
        "550e8400-e29b-41d4-a716-446655440000",
        "chatcmpl-9aBcDeFgHiJkLmNoPqRsTuVwXyZ01",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "bearer of bad news: internationalization-of-things",
        "Basic understanding of thermodynamics",
        "gpt-4o-mini-2024-07-18 and claude-sonnet-4-20250514",
        "AKIA is the prefix of access keys",
        "eyJ is how a JSON web token begins",
        "antidisestablishmentarianism/counterrevolutionaries",
        "src/llm_observe/processors/redaction/kinds.py",
        "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ\n-----END CERTIFICATE-----",
        "xoxo-hugs-and-kisses-from-all-of-us",
        "the key: 1234567890123456 is not one",
    ],
    "email": ["react@18.2.0", "git@github.com:org/repo", "image@2x.png", "@app.get('/x')", "a @ b . com", "user@localhost", "C@"],
    "phone": [
        "2024-01-02",
        "12.05.2024 13:45",
        "1234567890",
        "v10.20.30",
        "3.14159265358979",
        "0x12345678",
        "+1",
        "order 55512345",
        "+100",
    ],
    "card": ["4111 1111 1111 1112", "1234567890123456", "0000000000000000", "20241124101112131415", "4111-1111"],
    "ip": ["256.1.1.1", "1.2.3", "127.0.0.1", "12:34:56", "std::vector", "version 1.2.3.4.5", "0.0.0.0", "::1"],
    "ssn": ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "1234-56-7890"],
    "nino": ["GB123456A", "QQ123456Z", "AB12345C", "DA123456A"],
    "iban": ["DE89370400440532013001", "GB82 WEST 1234 5698 7654 33", "AB12 3456", "XX00111122223333"],
    "dni": ["12345678A", "1234567Z"],
    "nir": ["1 84 12 76 451 089 47", "184127645108947"],
}


def _luhn(rng: random.Random, start: str, length: int) -> str:
    body = start + "".join(rng.choices(string.digits, k=length - len(start) - 1))
    for last in string.digits:
        digits = [int(one) for one in reversed(body + last)]
        if sum(d if n % 2 == 0 else sum(divmod(2 * d, 10)) for n, d in enumerate(digits)) % 10 == 0:
            return body + last
    raise AssertionError(body)


def _iban(rng: random.Random) -> str:
    body = "".join(rng.choices(string.digits, k=18))
    check = 98 - int(body + "131400") % 97
    whole = f"DE{check:02}{body}"
    return whole if rng.random() < 0.5 else " ".join(whole[n : n + 4] for n in range(0, len(whole), 4))


def makers(rng: random.Random):
    """By kind: makers of what is to be found. The second of a pair is what goes around it."""

    def some(count: int, of: str = ALNUM) -> str:
        return "7" + "".join(rng.choices(of, k=count - 2)) + "q"

    upper = string.ascii_uppercase + "234567"
    jwt = [base64.urlsafe_b64encode(b'{"alg":"HS256"}').decode().rstrip("="), base64.urlsafe_b64encode(b'{"sub":"1"}').decode().rstrip("=")]
    secrets = [
        lambda: ("sk-" + some(48), "{}"),
        lambda: ("sk-proj-" + some(80), "{}"),
        lambda: ("sk-ant-api03-" + some(90), "{}"),
        lambda: ("AIza" + some(35), "{}"),
        lambda: ("AKIA" + "".join(rng.choices(upper, k=15)) + "3", "{}"),
        lambda: (some(40), "AWS_SECRET_ACCESS_KEY={}"),
        lambda: (some(32, "0123456789abcdef"), "api-key: {}"),
        lambda: (some(32), "MISTRAL_API_KEY={}"),
        lambda: (some(40), 'cohere.Client(api_key="{}")'),
        lambda: ("gsk_" + some(48), "{}"),
        lambda: ("hf_" + some(34), "{}"),
        lambda: ("ghp_" + some(36), "{}"),
        lambda: ("github_pat_" + some(70), "{}"),
        lambda: ("xoxb-" + some(40), "{}"),
        lambda: ("sk_live_" + some(24), "{}"),
        lambda: ("glpat-" + some(20), "{}"),
        lambda: ("nvapi-" + some(60), "{}"),
        lambda: (".".join([*jwt, some(30)]), "{}"),
        lambda: (some(40), "Authorization: Bearer {}"),
        lambda: (base64.b64encode(f"user:{some(12)}".encode()).decode(), "Authorization: Basic {}"),
        lambda: (some(12), "postgres://app:{}@db.internal:5432/app"),
        lambda: (some(30), "https://host.example/v1/models?key={}"),
        lambda: (some(12), "password: {}"),
        lambda: (some(44), "DefaultEndpointsProtocol=https;AccountKey={}=="),
        lambda: (f"-----BEGIN RSA PRIVATE KEY-----\n{some(64)}\n{some(64)}\n-----END RSA PRIVATE KEY-----", "{}"),
    ]

    def name() -> str:
        return rng.choice(["joe.doe", "anna+news", "x_y", "müller", "o-brien99"])

    def dni() -> str:
        number = rng.randint(10**7, 10**8 - 1)
        return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"

    def nir() -> str:
        number = rng.randint(1_50_01_01_001_001, 1_99_12_75_899_999)
        return f"{number}{97 - number % 97:02}"

    return {
        "secrets": secrets,
        "email": [lambda: (f"{name()}@{rng.choice(['example.com', 'mail.co.uk', 'sub.firma.de'])}", "{}")],
        "phone": [
            lambda: (f"+49 {rng.randint(150, 179)} {rng.randint(1000000, 9999999)}", "{}"),
            lambda: (f"({rng.randint(201, 989)}) {rng.randint(200, 999)}-{rng.randint(1000, 9999)}", "{}"),
            lambda: (f"{rng.randint(201, 989)}-{rng.randint(200, 999)}-{rng.randint(1000, 9999)}", "{}"),
            lambda: (f"0{rng.randint(30, 89)} {rng.randint(1000000, 9999999)}", "{}"),
        ],
        "card": [lambda: (_luhn(rng, rng.choice(["4", "51", "36", "6011"]), 16), "{}"), lambda: (_luhn(rng, "37", 15), "{}")],
        "ip": [lambda: (".".join(str(rng.randint(2, 254)) for _ in range(4)), "{}"), lambda: (f"2001:db8::{rng.randint(1, 9999)}", "{}")],
        "ssn": [lambda: (f"{rng.randint(100, 600)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}", "{}")],
        "nino": [lambda: (f"AB{rng.randint(100000, 999999)}C", "{}")],
        "iban": [lambda: (_iban(rng), "{}")],
        "dni": [lambda: (dni(), "{}")],
        "nir": [lambda: (nir(), "{}")],
    }


def labelled() -> list[tuple[str, str, str | None]]:
    """Texts, the kinds they are of, and what is to be found in each: None for a near miss."""
    rng = random.Random(29)
    texts: list[tuple[str, str, str | None]] = []
    for kind, made in makers(rng).items():
        for maker in made:
            for _ in range(14 if kind == "secrets" else 20):
                secret, around = maker()
                texts.append((rng.choice(SENTENCES).format(around.format(secret)), kind, secret))
    for kind, near in NEAR.items():
        texts += [(sentence.format(text), kind, None) for text in near for sentence in SENTENCES[:4]]
    return texts
